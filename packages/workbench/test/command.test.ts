import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { describe, expect, it, onTestFinished } from "vitest";
import { openCapture } from "../src/capture.ts";
import { type CommandOptions, type CommandRun, runCommand } from "../src/command.ts";
import { openCpuMeter } from "../src/cpu-meter.ts";
import { failureExcerpt, firstFailure, lastLines } from "../src/excerpt.ts";
import { underLease } from "../src/lease.ts";
import { openProcessGroups } from "../src/process-group.ts";
import { openRssMeter } from "../src/rss-meter.ts";
import { isRunning, tempDir, until, write } from "./fixture.ts";

const sh = (command: string, more: Partial<CommandOptions> = {}): Promise<CommandRun> =>
  runCommand({ command, cwd: tempDir(), timeoutMs: 30_000, ...more });
/** The shell that is to become it may not have got there, and has no arguments to show while it does. */
const slept = expect.stringMatching(/sleep|setsid|sh\b/);
const linux = process.platform === "linux";
const pids = (run: CommandRun): number[] => run.stdout.trim().split(/\s+/).map(Number);

describe("runCommand", () => {
  it("does not start what was told to end while its lease was asked for", async () => {
    const stop = new AbortController();
    const confirm = async (): Promise<void> => stop.abort(new Error("told to stop"));
    const lease = { confirm, worked: () => {}, signal: stop.signal, owner: "" };
    const cwd = tempDir();
    const run = underLease(lease, () => sh("touch ran", { cwd, signal: stop.signal }));
    await expect(run).rejects.toThrow("told to stop");
    expect(existsSync(join(cwd, "ran"))).toBe(false);
  });

  it("answers with exit code, both outputs and the time it took", async () => {
    const run = await sh("echo out; echo err >&2; exit 3");
    expect(run).toMatchObject({
      exit: 3,
      signal: null,
      timedOut: false,
      aborted: false,
      maxRssBytes: null,
      cpuMs: null,
      left: [],
      outputBytes: 8,
    });
    expect([run.stdout, run.stderr, run.output.length]).toEqual(["out\n", "err\n", 8]);
    expect(run.wallMs).toBeGreaterThan(0);
    expect((await sh("kill -9 $$")).signal).toBe("SIGKILL");
    expect((await sh("no-such-program")).exit).toBe(127);
  });

  it("fails when its directory is missing", async () => {
    await expect(sh("true", { cwd: "/no/such/directory" })).rejects.toThrow(/ENOENT/);
  });

  it("C1: on timeout ends the whole group, grandchildren too", async () => {
    const run = await sh("sleep 600 & echo $!; (sleep 600 & echo $!; wait) & echo $!; wait", {
      timeoutMs: 300,
    });
    expect(run).toMatchObject({ timedOut: true, aborted: false });
    expect(pids(run)).toHaveLength(3);
    expect(pids(run).filter(isRunning)).toEqual([]);
    expect(run.wallMs).toBeLessThan(5_000);
  });

  it("C1: kills what ignores SIGTERM, and lets what heeds it finish", async () => {
    const deaf = await sh("trap '' TERM; echo $$; while :; do sleep 0.05; done", { timeoutMs: 200 });
    expect(deaf).toMatchObject({ timedOut: true, signal: "SIGKILL" });
    expect(pids(deaf).filter(isRunning)).toEqual([]);
    const heeding = await sh("trap 'echo bye; exit 0' TERM; sleep 600 & wait", {
      timeoutMs: 200,
      measureRss: true,
    });
    expect(heeding).toMatchObject({ timedOut: true, stdout: "bye\n" });
  });

  it("C1: kills what a finished command leaves in the background", async () => {
    const run = await sh("sleep 600 & echo $!");
    expect(run.exit).toBe(0);
    expect(pids(run).filter(isRunning)).toEqual([]);
    expect(run.wallMs).toBeLessThan(5_000);
  });

  it.skipIf(!linux)(
    "C1: kills what left the group, also what waits for nobody and holds no pipe",
    async () => {
      const run = await sh(
        "setsid sleep 600 & echo $!; setsid sh -c 'sleep 600 >/dev/null 2>&1 & echo $!'",
        {},
      );
      expect(run).toMatchObject({ exit: 0, left: [slept, slept] });
      expect(pids(run)).toHaveLength(2);
      expect(pids(run).filter(isRunning)).toEqual([]);
      const hangs = await sh("setsid sleep 600 & echo $!; sleep 600", { timeoutMs: 300 });
      expect(hangs.timedOut).toBe(true);
      expect(pids(hangs).filter(isRunning)).toEqual([]);
    },
  );

  it.skipIf(!linux)(
    "lets other processes end within lingerMs, and the run lasts as long as they do",
    async () => {
      const work = "(trap '' TERM; sleep 0.4; echo late) & echo early";
      const patient = await sh(work, { lingerMs: 10_000, measureCpu: true });
      expect(patient).toMatchObject({ stdout: "early\nlate\n", left: [], timedOut: false });
      expect(patient.wallMs).toBeGreaterThan(400);
      expect(await sh(work)).toMatchObject({ stdout: "early\n" });
      const beyond = await sh("setsid sleep 600 & echo x", { lingerMs: 100 });
      expect(beyond).toMatchObject({ left: [slept], timedOut: false });
      const never = await sh("sleep 600 & echo x", { lingerMs: 10_000, timeoutMs: 200 });
      expect(never).toMatchObject({ left: [], timedOut: true });
    },
  );

  it("ends on abort, and does not begin when already aborted", async () => {
    const stop = new AbortController();
    const dir = tempDir();
    const running = sh(`echo $$ > pid; sleep 600`, { cwd: dir, signal: stop.signal });
    await until(() => existsSync(join(dir, "pid")) && readFileSync(join(dir, "pid"), "utf8").endsWith("\n"));
    stop.abort();
    expect(await running).toMatchObject({ aborted: true, timedOut: false, exit: null });
    expect(isRunning(Number(readFileSync(join(dir, "pid"), "utf8")))).toBe(false);
    expect(await sh("echo x > begun", { cwd: dir, signal: stop.signal })).toMatchObject({
      aborted: true,
      wallMs: 0,
    });
    expect(existsSync(join(dir, "begun"))).toBe(false);
  });

  it("C2: gives an allow-list of the environment and no stdin", async () => {
    process.env.QUESTBUS_SECRET = "secret";
    const run = await sh("env; cat", { env: { GIVEN: "yes", TERM: "vt100" } });
    delete process.env.QUESTBUS_SECRET;
    const names = run.stdout
      .trim()
      .split("\n")
      .map((line) => line.split("=")[0]);
    expect(run.stdout).toContain("GIVEN=yes\n");
    expect(run.stdout).toContain("TERM=vt100\n");
    expect(names).toContain("PATH");
    expect(names.filter((name) => /SECRET|VITEST|NODE_ENV|NODE_OPTIONS/.test(name ?? ""))).toEqual([]);
  });

  it("C2: shows no git repository above its directory", async () => {
    const dir = tempDir();
    await sh("git init -q . && mkdir sub", { cwd: dir });
    expect((await sh("git rev-parse --show-toplevel", { cwd: dir })).exit).toBe(0);
    expect((await sh("git rev-parse --show-toplevel", { cwd: join(dir, "sub") })).exit).not.toBe(0);
  });

  it("C3: keeps head and tail of a long output, and counts all of it", async () => {
    const run = await sh("echo first; seq 1 200000; echo last", { outputBytesMax: 2_000 });
    expect(run.stdout.length).toBeLessThan(2_100);
    expect(run.stdout).toMatch(/^first\n1\n2\n/);
    expect(run.stdout).toMatch(/\n200000\nlast\n$/);
    expect(run.stdout).toMatch(/\n\[\d+ bytes left out\]\n/);
    expect(run.outputBytes).toBe(1_288_895 + 11);
  });

  it("measures the peak memory of the largest process, not of node", async () => {
    const allocate = (mb: number): string => `node -e "globalThis.x = Buffer.alloc(${mb} * 1048576, 1)"`;
    const [small, large] = [
      await sh("true", { measureRss: true }),
      await sh(`true; ${allocate(200)}; true`, { measureRss: true }),
    ];
    expect(small.maxRssBytes).toBeGreaterThan(0);
    expect(small.maxRssBytes).toBeLessThan(20_000_000);
    expect(large.maxRssBytes).toBeGreaterThan(200_000_000);
    expect(large.maxRssBytes).toBeLessThan(400_000_000);
    expect((await sh("exit 3", { measureRss: true })).exit).toBe(3);
    expect(readdirSync(tmpdir()).filter((name) => name.startsWith("questbus-rss-"))).toEqual([]);
  });

  it.each(["bash", "sh"] as const)("measures the processor time of all processes, with %s", async (kind) => {
    const meter = openCpuMeter(kind);
    const spin = `node -e "const end = process.cpuUsage().user + 200000; while (process.cpuUsage().user < end);"`;
    const [program, ...args] = meter.wrap(["/bin/sh", "-c", `${spin}; (${spin}); sleep 0.3; : >&3; exit 3`]);
    const child = spawn(program, args, { stdio: ["ignore", "ignore", "pipe", "pipe"] });
    const errors: Buffer[] = [];
    child.stderr?.on("data", (chunk: Buffer) => errors.push(chunk));
    meter.listen(child.stdio[3] as Readable);
    const [status] = (await once(child, "close")) as [number];
    expect(Buffer.concat(errors).toString(), "its pipe is not given to the command").toMatch(
      /Bad file descriptor|bad/,
    );
    expect(status).not.toBe(0);
    const cpuMs = meter.cpuMs() ?? 0;
    expect(cpuMs).toBeGreaterThanOrEqual(400);
    expect(cpuMs).toBeLessThan(4_000);
  });

  it("measures processor time with what nobody waited for", async () => {
    const spin = `node -e "const end = Date.now() + 400; while (Date.now() < end);"`;
    const run = await sh(`${spin} & sleep 0.05`, { measureCpu: true, lingerMs: 10_000 });
    if (linux) expect(run.cpuMs).toBeGreaterThan(40);
    expect((await sh("exit 3", { measureCpu: true, measureRss: true })).exit).toBe(3);
    expect((await sh("kill -9 $$", { measureCpu: true })).exit).toBe(137);
  });

  it.skipIf(!linux)("measures by sampling where there is no time program", async () => {
    const meter = openRssMeter("sampling");
    const child = spawn("/bin/sh", ["-c", `node -e "globalThis.x = Buffer.alloc(200 * 1048576, 1)"; true`]);
    meter.start(child.pid ?? 0);
    await new Promise((done) => child.once("exit", done));
    expect(await meter.stop()).toBeGreaterThan(200_000_000);
  });
});

describe("openCapture", () => {
  const capture = (bytesMax: number, chunks: string[]): string => {
    const kept = openCapture(bytesMax);
    for (const each of chunks) kept.push(Buffer.from(each));
    return kept.text();
  };
  it("keeps all of what fits, whatever the chunks", () => {
    expect(capture(10, ["abcde", "fghij"])).toBe("abcdefghij");
    expect(capture(10, ["abcdefghij"])).toBe("abcdefghij");
    expect(capture(10, [])).toBe("");
  });
  it("keeps the first and the last half of what does not", () => {
    for (const chunks of [["abcdefghijkl"], ["abc", "defg", "hijkl"], [..."abcdefghijkl"]]) {
      expect(capture(10, chunks)).toBe("abcde\n[2 bytes left out]\nhijkl");
    }
  });
});

describe("lastLines", () => {
  it("takes whole lines from the end, without colours", () => {
    expect(lastLines("one\n\u001b[31mtwo\u001b[0m\n\n")).toBe("one\ntwo");
    expect(lastLines("aaaa\nbbbb\ncccc\n", 11)).toBe("bbbb\ncccc");
    expect(lastLines("x".repeat(100), 10)).toBe("x".repeat(10));
    expect(lastLines("\u{1f600}".repeat(10), 3).isWellFormed()).toBe(true);
  });
});

describe("the failure of a suite", () => {
  it.each([
    ["TAP version 13\n    ok 1 - a\n    not ok 2 - b\nnot ok 1 - all\n# fail 1", "not ok 2 - b"],
    ["not ok 1 - later # TODO\nnot ok 2 - now", "not ok 2 - now"],
    ["✖ failing tests:\n\n\u001b[31m✖ the median (2ms)\u001b[39m", "✖ the median (2ms)"],
    [" FAIL  src/a.test.ts > adds", "FAIL  src/a.test.ts > adds"],
    ["all is well\n# fail 0", null],
    ["", null],
  ])("is named by its first line: %j", (output, named) => {
    expect(firstFailure(output)).toBe(named);
  });

  it("stands before the last lines where they leave it out", () => {
    const output = `not ok 7 - percentiles\n${"# more\n".repeat(100)}`;
    const excerpt = failureExcerpt(output, 60);
    expect(excerpt).toMatch(/^not ok 7 - percentiles\n\.\.\.\n# more\n/);
    expect(excerpt.length).toBeLessThanOrEqual(60);
    expect(failureExcerpt("ok 1\nnot ok 2 - b", 60)).toBe("ok 1\nnot ok 2 - b");
  });
});

describe("process groups", () => {
  it("are recorded while they run, and forgotten after", async () => {
    const dir = join(tempDir(), "groups");
    const groups = openProcessGroups(dir);
    const run = await sh(`ls '${dir}'; cat '${dir}'/*; echo $$; exit 3`, { groups, measureRss: true });
    const [record, start] = run.stdout.split("\n");
    expect(record).toMatch(/^\d+$/);
    expect(start).toBeTruthy();
    expect(run).toMatchObject({ exit: 3, maxRssBytes: expect.any(Number) });
    expect(readdirSync(dir)).toEqual([]);
    expect(await groups.reap()).toBe(0);
  });

  it("that cannot be recorded are not run", async () => {
    const dir = join(tempDir(), "groups");
    const groups = openProcessGroups(dir);
    rmSync(dir, { recursive: true });
    const cwd = tempDir();
    await expect(sh("touch ran", { cwd, groups })).rejects.toThrow("could not be recorded");
    expect(existsSync(join(cwd, "ran"))).toBe(false);
  });

  it.skipIf(!linux)(
    "of a killed owner are ended by its guard, with daemons and what ignores SIGTERM",
    async () => {
      const dir = tempDir();
      const records = join(dir, "groups/performance");
      write(dir, {
        "stray.sh": `trap "" TERM HUP; echo $$ >> pids; while :; do sleep 1; done`,
        "owner.ts": `
      import { git } from ${JSON.stringify(join(import.meta.dirname, "../src/git.ts"))};
      import { runCommand } from ${JSON.stringify(join(import.meta.dirname, "../src/command.ts"))};
      import { underLease } from ${JSON.stringify(join(import.meta.dirname, "../src/lease.ts"))};
      import { openProcessGroups } from ${JSON.stringify(join(import.meta.dirname, "../src/process-group.ts"))};
      const cwd = ${JSON.stringify(dir)};
      const groups = openProcessGroups(${JSON.stringify(records)});
      groups.guard();
      const lease = { owner: groups.owner, signal: new AbortController().signal, confirm: async () => {}, worked: () => {} };
      const stays = "sh stray.sh & setsid sh stray.sh & (setsid sh stray.sh </dev/null >/dev/null 2>&1 &) ; sh stray.sh";
      void underLease(lease, () => git(cwd, ["-c", "alias.stay=!sh stray.sh", "stay"]));
      await runCommand({ command: stays, cwd, timeoutMs: 600000, groups });`,
      });
      const bystander = spawn("sleep", ["600"], { detached: true });
      onTestFinished(() => void bystander.kill("SIGKILL"));
      const owner = spawn(process.execPath, [join(dir, "owner.ts")], {
        cwd: join(import.meta.dirname, ".."),
        stdio: "inherit",
      });
      const strays = (): number[] => readFileSync(join(dir, "pids"), "utf8").trim().split("\n").map(Number);
      await until(() => existsSync(join(dir, "pids")) && strays().length === 5);
      const guard = Number.parseInt(readFileSync(join(records, "guard"), "utf8"), 10);
      owner.kill("SIGKILL");
      await until(() => strays().every((pid) => !isRunning(pid)) && !isRunning(guard));
      expect(isRunning(bystander.pid ?? 0)).toBe(true);
      expect(await openProcessGroups(records).reap()).toBe(0);
    },
  );

  it("of a killed owner are ended by its successor, and nothing else is", async () => {
    const dir = tempDir();
    const records = join(dir, "groups/performance");
    write(dir, {
      "owner.ts": `
      import { runCommand } from ${JSON.stringify(join(import.meta.dirname, "../src/command.ts"))};
      import { openProcessGroups } from ${JSON.stringify(join(import.meta.dirname, "../src/process-group.ts"))};
      await runCommand({ command: "sleep 600 & echo $! $$ > pids; setsid sleep 600 & echo $! > stray; wait", cwd: ${JSON.stringify(dir)}, timeoutMs: 600000,
        groups: openProcessGroups(${JSON.stringify(records)}) });`,
    });
    const owner = spawn(process.execPath, [join(dir, "owner.ts")], {
      cwd: join(import.meta.dirname, ".."),
      stdio: "inherit",
    });
    await until(
      () => existsSync(join(dir, "stray")) && readFileSync(join(dir, "stray"), "utf8").endsWith("\n"),
    );
    const stray = Number(readFileSync(join(dir, "stray"), "utf8"));
    owner.kill("SIGKILL");
    await new Promise((done) => owner.once("exit", done));
    const orphans = readFileSync(join(dir, "pids"), "utf8").trim().split(" ").map(Number);
    expect(orphans.filter(isRunning)).toHaveLength(2);
    // a record whose process number was given to somebody else since
    const bystander = spawn("sleep", ["600"], { detached: true });
    write(records, { [String(bystander.pid)]: "12345", "not-a-number": "x" });
    expect(await openProcessGroups(records).reap()).toBe(linux ? 2 : 1);
    expect(orphans.filter(isRunning)).toEqual([]);
    if (linux) await until(() => !isRunning(stray));
    expect(isRunning(bystander.pid ?? 0)).toBe(true);
    bystander.kill("SIGKILL");
    expect(readdirSync(records)).toEqual(["not-a-number"]);
  });
});
