import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ensureCredentials, findBroker, startBroker } from "../src/index.ts";
import { eventually, newDir } from "./rig.ts";

let dir: string;
beforeAll(() => {
  dir = newDir();
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const none = (): string => {
  throw new Error("not installed");
};

describe("findBroker", () => {
  test("the bundled one comes first", () => {
    const found = findBroker({ PATH: "/nowhere" });
    expect(found.from).toBe("bundled");
    expect(statSync(found.path).isFile()).toBe(true);
  });

  test("then the first program of that name on the PATH", () => {
    const [empty, folder, plain, program] = ["empty", "folder", "plain", "program"].map((name) =>
      join(dir, name),
    );
    mkdirSync(join(folder as string, "nats-server"), { recursive: true });
    for (const each of [empty, plain, program]) mkdirSync(each as string);
    writeFileSync(join(plain as string, "nats-server"), "");
    writeFileSync(join(program as string, "nats-server"), "");
    chmodSync(join(program as string, "nats-server"), 0o755);
    const PATH = `:${empty}:${folder}:${plain}:${program}`;
    expect(findBroker({ PATH }, none)).toEqual({
      path: join(program as string, "nats-server"),
      from: "path",
    });
  });

  test("else an error that names all three, and the way out", () => {
    expect(() => findBroker({}, none)).toThrow(
      expect.objectContaining({
        code: "BROKER_MISSING",
        exit: 4,
        message: expect.stringMatching(/NATS_URL.*bundled.*PATH/),
        faults: [expect.objectContaining({ next: expect.stringMatching(/npm ci.*nats-server.*NATS_URL/) })],
      }),
    );
  });
});

const options = () => {
  const state = newDir();
  const credentials = ensureCredentials({ dir: state, agents: [{ role: "qa", name: "qa1" }] });
  return { dir: state, binary: findBroker(process.env).path, credentials };
};
const alive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return !readFileSync(`/proc/${pid}/stat`, "utf8").includes(") Z ");
  } catch {
    return false;
  }
};

describe("startBroker", () => {
  test("B1: it listens on 127.0.0.1, its configuration is private, and stop ends it", async () => {
    const given = options();
    const broker = await startBroker(given);
    expect(broker.url).toBe(`nats://127.0.0.1:${broker.port}`);
    expect(statSync(join(given.dir, "broker", "nats.conf")).mode & 0o777).toBe(0o600);
    expect(readFileSync(join(given.dir, "broker", "nats.conf"), "utf8")).not.toMatch(/\bSU[A-Z2-7]{56}/);
    await broker.stop();
    expect(await broker.exited).toMatchObject({ code: expect.anything() });
    expect(alive(broker.pid)).toBe(false);
    await broker.stop();
    rmSync(given.dir, { recursive: true });
  });

  test("a second one on the same state is refused while the first runs", async () => {
    const given = options();
    const broker = await startBroker(given);
    await expect(startBroker(given)).rejects.toMatchObject({
      code: "STATE_LOCKED",
      message: expect.stringContaining(String(broker.pid)),
    });
    await broker.stop();
    await (await startBroker({ ...given, port: broker.port })).stop();
    rmSync(given.dir, { recursive: true });
  });

  test("a port that is taken is named, and the data stay", async () => {
    const given = options();
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    const port = typeof address === "object" ? address?.port : undefined;
    mkdirSync(join(given.dir, "broker", "js"), { recursive: true });
    writeFileSync(join(given.dir, "broker", "js", "kept"), "");
    await expect(startBroker({ ...given, port })).rejects.toMatchObject({
      code: "BUS_UNAVAILABLE",
      message: expect.stringContaining("address already in use"),
    });
    expect(statSync(join(given.dir, "broker", "js", "kept")).isFile()).toBe(true);
    server.close();
    rmSync(given.dir, { recursive: true });
  });

  test("a program that is none gives one clear error", async () => {
    const given = options();
    await expect(startBroker({ ...given, binary: "/bin/false" })).rejects.toMatchObject({
      code: "BUS_UNAVAILABLE",
    });
    await expect(startBroker({ ...given, binary: join(given.dir, "nothing") })).rejects.toMatchObject({
      code: "BUS_UNAVAILABLE",
      message: expect.stringContaining("ENOENT"),
    });
    rmSync(given.dir, { recursive: true });
  });

  test("B2: it ends with the process that started it, also at kill -9, and the next start finds the place free", async () => {
    const given = options();
    const source = fileURLToPath(new URL("../src/index.ts", import.meta.url));
    const script = `
      import { ensureCredentials, findBroker, startBroker } from ${JSON.stringify(source)};
      const dir = process.argv[1];
      const credentials = ensureCredentials({ dir, agents: [] });
      const broker = await startBroker({ dir, credentials, binary: findBroker(process.env).path });
      console.log(broker.pid);`;
    const owner = spawn(process.execPath, ["--input-type=module", "-e", script, given.dir], {
      stdio: ["ignore", "pipe", "inherit"],
      cwd: fileURLToPath(new URL("..", import.meta.url)),
    });
    const [line] = (await once(createInterface({ input: owner.stdout }), "line")) as [string];
    expect(alive(Number(line))).toBe(true);
    owner.kill("SIGKILL");
    const next = await startBroker(given);
    expect(alive(Number(line))).toBe(false);
    await next.stop();
    await eventually(() => !alive(next.pid));
    rmSync(given.dir, { recursive: true });
  });
});
