import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import {
  type GuardSpec,
  type HttpTarget,
  httpTarget,
  normaliseHttp,
  type Observation,
} from "@questbus/protocol";
import { describe, expect, it } from "vitest";
import { observe } from "../src/observe.ts";
import { isRunning, refused, tempDir, write } from "./fixture.ts";

/** Answers after `wait` milliseconds; /bad fails, /late is ready after a moment, and it says its process id. */
const program = `
import { createServer } from "node:http";
import { writeFileSync } from "node:fs";
import { spawn } from "node:child_process";
writeFileSync("pid", String(process.pid));
const child = spawn("sleep", ["600"]);
writeFileSync("child", String(child.pid));
const wait = Number(process.argv[2] ?? 0);
const since = Date.now();
let count = 0;
const serve = (request, response) => {
  const { url, method, headers } = request;
  if (url === "/late") response.statusCode = Date.now() - since < 150 ? 503 : 200;
  if (url === "/bad" || (url === "/post" && (method !== "POST" || headers["x-kind"] !== "test"))) response.statusCode = 500;
  if (url === "/exit") process.exit(7);
  count += 1;
  const bodies = { "/other": "well", "/each": String(count), "/ff": Buffer.of(255), "/fe": Buffer.of(254), "/whole": "caf\u00e9" };
  if (url === "/split") response.write(Buffer.of(0x63, 0x61, 0x66, 0xc3));
  setTimeout(() => response.end(url === "/split" ? Buffer.of(0xa9) : (bodies[url] ?? "fine")), wait);
};
createServer(serve).listen(Number(process.env.PORT), process.argv[3] ?? "127.0.0.1");
`;

const target = (given: Record<string, unknown> = {}, load: Record<string, unknown> = {}): HttpTarget =>
  normaliseHttp(
    httpTarget.parse({
      start: `"${process.execPath}" server.mjs 5`,
      load: { duration: "300ms", connections: 2, ...load },
      ...given,
    }),
  );
const guard = (from: string, name: string): GuardSpec => ({
  name,
  from,
  unit: "",
  better: "lower",
  worseBy: 0.1,
});

type Asked = {
  http?: HttpTarget;
  from?: string;
  guards?: GuardSpec[];
  timeoutMs?: number;
  signal?: AbortSignal;
};
async function look({ http = target(), from = "autocannon:latency.p50", guards = [], ...rest }: Asked) {
  const cwd = tempDir();
  write(cwd, { "server.mjs": program });
  const metric = { name: "p50", from, unit: "ms", better: "lower" } as const;
  const pidOf = async (name: string): Promise<number> => {
    const { readFile } = await import("node:fs/promises");
    return Number(await readFile(`${cwd}/${name}`, "utf8").catch(() => "0"));
  };
  const observed = observe({ command: http.start, http, cwd, metric, guards, timeoutMs: 20_000, ...rest });
  const settled = await observed.then(
    (value): { value: Observation } => ({ value }),
    (error: unknown) => ({ error }),
  );
  for (const name of ["pid", "child"]) expect(isRunning(await pidOf(name)), `${name} is gone`).toBe(false);
  if ("error" in settled) throw settled.error;
  return settled.value;
}

describe("a server under load", () => {
  it("is measured in fractions of a millisecond, with its own memory and processor time, and is gone then", async () => {
    const guards = [
      guard("autocannon:latency.p75", "p75"),
      { ...guard("autocannon:requests.mean", "rate"), better: "higher" as const },
      ...(process.platform === "linux" ? [guard("max-rss", "rss"), guard("cpu-time", "cpu")] : []),
    ];
    const { value, guards: found } = await look({ guards });
    expect(value).toBeGreaterThan(4);
    expect(value).toBeLessThan(100);
    expect(Number.isInteger(value)).toBe(false);
    expect(found.p75).toBeGreaterThanOrEqual(value);
    expect(found.rate).toBeGreaterThan(2);
    if (process.platform !== "linux") return;
    expect(found.rss).toBeGreaterThan(10_000_000);
    expect(found.cpu, "of the load alone, in seconds").toBeLessThan(1);
  });

  it("may become ready late, listen on ::1 or on a given port, and get a body and headers", async () => {
    const late = look({ http: target({ ready: "/late" }) });
    expect((await late).value).toBeGreaterThan(0);
    const six = look({ http: target({ start: `"${process.execPath}" server.mjs 1 ::1` }) });
    expect((await six).value).toBeGreaterThan(0);
    const post = target(
      {},
      { url: "/post", method: "POST", body: "{}", headers: { "x-kind": "test" }, warmup: "60ms" },
    );
    expect((await look({ http: post })).value).toBeGreaterThan(0);
  });

  it("keeps to a rate", async () => {
    const http = target({ start: `"${process.execPath}" server.mjs` }, { duration: "1s", rate: 20 });
    const { value } = await look({ http, from: "autocannon:requests.total" });
    expect(value).toBeLessThanOrEqual(41);
  });
});

describe("the digest of a server", () => {
  it("is one of its answers, whatever their number, where it is asked for", async () => {
    const of = async (url: string, digest = true) =>
      (await look({ http: target({ digest }, { url, duration: "100ms" }) })).digest;
    const [one, same, other] = [await of("/"), await of("/again"), await of("/other")];
    expect(one).toMatch(/^[0-9a-f]{32}$/);
    expect(same).toBe(one);
    expect(other).not.toBe(one);
    expect(await of("/", false)).toBe(null);
  });

  it("is one of their bytes, however they came", async () => {
    const of = async (url: string) =>
      (await look({ http: target({ digest: true }, { url, duration: "100ms" }) })).digest;
    expect(await of("/ff")).not.toBe(await of("/fe"));
    expect(await of("/split")).toBe(await of("/whole"));
  });

  it("is not given of more answers than it is kept of: which came first would be a matter of time", async () => {
    const start = `"${process.execPath}" server.mjs`;
    const http = target({ start, digest: true }, { url: "/each", duration: "2s", connections: 8 });
    expect((await look({ http })).digest).toBe(null);
  });
});

describe("a server is refused", () => {
  it("that fails requests, unless a share is allowed", async () => {
    const bad = (errorsMax: string) => target({ errorsMax }, { url: "/bad" });
    const fault = await refused("BENCH_FAILED", () => look({ http: bad("0%") }));
    expect(fault.message).toContain("answers other than 2xx");
    await refused("BENCH_FAILED", () => look({ http: bad("99%") }));
  });

  it("that does not start, ends at once, or ends under load", async () => {
    const start = await refused("BENCH_FAILED", () =>
      look({ http: target({ start: "echo no such thing; exit 3" }) }),
    );
    expect(start).toMatchObject({
      where: "measure.http.start",
      message: expect.stringContaining("no such thing"),
    });
    expect(start.message).toContain("exit code 3");
    const background = target({ start: `"${process.execPath}" server.mjs >/dev/null 2>&1 &` });
    expect((await refused("BENCH_FAILED", () => look({ http: background }))).next).toContain("foreground");
    await refused("BENCH_FAILED", () => look({ http: target({}, { url: "/exit" }) }));
  });

  it("that is never ready, with what it last answered", async () => {
    const never = await refused("BENCH_FAILED", () =>
      look({ http: target({ ready: "/bad", timeout: "3s" }) }),
    );
    expect(never).toMatchObject({
      where: "measure.http.ready",
      message: expect.stringContaining("answers 500"),
    });
    const deaf = target({ start: "sleep 600", timeout: "200ms" });
    expect((await refused("BENCH_FAILED", () => look({ http: deaf }))).message).toContain("ECONNREFUSED");
  });

  it("whose port somebody else has", async () => {
    const other = createServer((_, response) => response.end("another"));
    await new Promise<void>((done) => other.listen(0, "127.0.0.1", done));
    const { port } = other.address() as AddressInfo;
    const fault = await refused("BENCH_FAILED", () => look({ http: target({ port }) }));
    expect(fault.message).toContain(`port ${port}`);
    await new Promise((done) => other.close(done));
  });

  it("that takes longer than the quest allows, or when the lease is lost", async () => {
    await refused("BENCH_TIMEOUT", () => look({ http: target({}, { duration: "10s" }), timeoutMs: 1_000 }));
    const lost = new AbortController();
    const run = look({ http: target({}, { duration: "10s" }), signal: lost.signal });
    setTimeout(() => lost.abort(new Error("lease lost")), 600);
    await expect(run).rejects.toThrow("lease lost");
  });
});
