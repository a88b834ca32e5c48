import { createHash } from "node:crypto";
import { existsSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import type { GuardSpec, MetricSpec, Observation } from "@questbus/protocol";
import { describe, expect, it } from "vitest";
import { openArtifacts } from "../src/artifact.ts";
import { observe } from "../src/observe.ts";
import { runSuite } from "../src/suite.ts";
import { refused, tempDir, write } from "./fixture.ts";

const metric = (from: string, name = "p95_ms"): MetricSpec => ({ name, from, unit: "ms", better: "lower" });
const guard = (from: string, name: string): GuardSpec => ({ ...metric(from, name), worseBy: 0.1 });
const look = (command: string, from = "metric-line", guards: GuardSpec[] = []): Promise<Observation> =>
  observe({ command, cwd: tempDir(), metric: metric(from), guards, timeoutMs: 20_000 });
const print = (text: string): string => `cat <<'QUESTBUS_END'\n${text}\nQUESTBUS_END\n`;

describe("observe reads", () => {
  const values: [string, string, string, number][] = [
    ["a metric line", "metric-line", "METRIC p95_ms=41.2", 41.2],
    ["the last of several", "metric-line", "METRIC p95_ms=1\nMETRIC other=2\nMETRIC p95_ms=3", 3],
    ["an exponent", "metric-line", "METRIC p95_ms=4.1e3", 4100],
    ["spaces around it", "metric-line", "METRIC  p95_ms = +.5 ", 0.5],
    ["a line with CRLF", "metric-line", "METRIC p95_ms=7\r", 7],
    ["JSON", "json:/results/0/p95", '{\n "results": [ { "p95": 12.5 } ]\n}', 12.5],
    ["JSON on the last line", "json:/p95", 'warming up\n{"p95": 1}\n{"p95": 2}\ndone', 2],
    ["JSON that is a number", "json:", "17", 17],
    ["escapes in a pointer", "json:/a~1b/~0c", '{"a/b":{"~c":5}}', 5],
    ["an empty key", "json:/", '{"":6}', 6],
  ];
  it.each(values)("%s", async (_, from, text, value) => {
    expect((await look(print(text), from)).value).toBe(value);
  });

  it("wall time in seconds, peak memory in bytes, and guards by name", async () => {
    const found = await look(print("METRIC p99=9\nMETRIC p95_ms=8"), "wall-time", [
      guard("max-rss", "rss"),
      guard("metric-line", "p99"),
    ]);
    expect(found.value, "the quest's unit is ms").toBeCloseTo(found.wallMs, 9);
    expect(found.guards).toEqual({ rss: expect.any(Number), p99: 9 });
    expect(found.guards.rss).toBeGreaterThan(0);
  });
});

describe("observe reads a file", () => {
  it("that this run wrote, once, beside METRIC lines of stdout", async () => {
    const cwd = tempDir();
    write(cwd, { "made/.keep": "" });
    const wrote = `echo METRIC p99=7; ${print('{"results":[{"command":"x","mean":0.5}]}').replace("cat", "cat >made/bench.json")}`;
    const found = await observe({
      command: wrote,
      cwd,
      output: "made/bench.json",
      metric: metric("hyperfine"),
      guards: [guard("metric-line", "p99"), guard("json:/results/0/mean", "mean")],
      timeoutMs: 20_000,
    });
    expect(found).toMatchObject({ value: 500, guards: { p99: 7, mean: 0.5 } });
    expect(existsSync(join(cwd, "made/bench.json"))).toBe(false);
  });
});

describe("observe", () => {
  it("reads the digest of what DIGEST lines say, and processor time", async () => {
    const digest = async (text: string) => (await look(print(`METRIC p95_ms=1\n${text}`))).digest;
    expect(await digest("digest x\nDIGESTS x\nDIGEST")).toBe(null);
    const one = await digest("DIGEST sum=41\r");
    expect(one).toBe(createHash("sha256").update("sum=41").digest("hex").slice(0, 32));
    expect(await digest("DIGEST   sum=41  ")).toBe(one);
    expect(await digest("DIGEST sum=42")).not.toBe(one);
    expect(await digest("DIGEST sum=41\nDIGEST sum=41")).not.toBe(one);
    const spin = `node -e "const end = process.cpuUsage().user + 100000; while (process.cpuUsage().user < end);"`;
    const found = await look(`${spin}; sleep 0.3`, "cpu-time");
    expect(found.cpuMs).toBeGreaterThanOrEqual(100);
    expect(found.value).toBeCloseTo(found.cpuMs as number, 6);
  });

  it("gives the seed of the workload to the benchmark alone", async () => {
    const seen = (seed?: string) =>
      observe({
        command: 'echo METRIC p95_ms=1; echo "DIGEST $QUESTBUS_SEED."',
        cwd: tempDir(),
        metric: metric("metric-line"),
        guards: [],
        timeoutMs: 20_000,
        seed,
      });
    expect((await seen("17")).digest).toBe((await look(print("METRIC p95_ms=1\nDIGEST 17."))).digest);
    expect((await seen()).digest).toBe((await look(print("METRIC p95_ms=1\nDIGEST ."))).digest);
  });

  it.skipIf(process.platform !== "linux")(
    "counts work that goes on after the METRIC line: the run is as long as its last process",
    async () => {
      const found = await look("echo METRIC p95_ms=1; setsid sleep 0.5 >/dev/null 2>&1 &");
      expect(found.wallMs).toBeGreaterThan(500);
    },
  );
});

describe("observe refuses", () => {
  it("a benchmark that fails, with its last lines", async () => {
    const fault = await refused("BENCH_FAILED", () => look("echo METRIC p95_ms=1; echo broken >&2; exit 3"));
    expect(fault.message).toContain("exit code 3");
    expect(fault.message).toContain("broken");
    expect((await refused("BENCH_FAILED", () => look("kill -9 $$"))).message).toContain("SIGKILL");
  });

  it("one whose script is not in the commit, in a line, with the path as it is in the repository", async () => {
    const fault = await refused("BENCH_FAILED", () => look("node bensh.mjs"));
    expect(fault.message).toBe(
      "the benchmark failed with exit code 1: Error: Cannot find module './bensh.mjs'",
    );
    expect(fault.next).toMatch(/^is it committed at target\.ref\? .*: node bensh\.mjs$/);
    const thrown = await refused("BENCH_FAILED", () => look("node -e 'throw new TypeError(\"no x\")'"));
    expect(thrown.message).toBe("the benchmark failed with exit code 1: TypeError: no x");
    expect(thrown.next).not.toContain("committed");
    const missing = await refused("BENCH_FAILED", () => look("./bench/none.sh"));
    expect(missing.next).toContain("is it committed at target.ref?");
  });

  it.each([
    ["no-such-tool --json", "no-such-tool is not on the PATH"],
    ["./bench/none.sh", "./bench/none.sh is not there"],
    ["env no-such-tool", "no-such-tool is not on the PATH"],
    ["exit 127", "a program that it starts is not on the PATH; it printed nothing"],
  ])("one whose program is not there, by its name: %s", async (command, says) => {
    const fault = await refused("BENCH_FAILED", () => look(command));
    expect(fault.message).toBe(`the benchmark failed with exit code 127: ${says}`);
    expect(fault.next).toContain(command);
  });

  it("one that hangs", async () => {
    const options = {
      command: "sleep 600",
      cwd: tempDir(),
      metric: metric("wall-time"),
      guards: [],
      timeoutMs: 200,
    };
    expect((await refused("BENCH_TIMEOUT", () => observe(options))).message).toContain("0.2 s");
  });

  it("one that leaves a process running, by its command line", async () => {
    const fault = await refused("BENCH_LEFT_PROCESS", () => look("echo METRIC p95_ms=1; sleep 611 &"));
    expect(fault.message).toBe("the benchmark left a process running: sleep 611");
  });

  it("one that blames a full disk", async () => {
    await refused("DISK_FULL", () => look("echo 'write: No space left on device' >&2; exit 1"));
  });

  it.each(["NaN", "Infinity", "fast", "", "41.2 ms", "0", "-3", "1e999", "0x10", "1,5"])(
    "the value %j",
    async (value) => {
      await refused("METRIC_NOT_A_NUMBER", () => look(print(`METRIC p95_ms=${value}`)));
    },
  );

  it.each(['{"a":"12"}', '{"a":null}', '{"a":{}}', '{"a":true}', '{"a":0}'])(
    "the JSON value in %s",
    async (text) => {
      await refused("METRIC_NOT_A_NUMBER", () => look(print(text), "json:/a"));
    },
  );

  it("a metric that is not there, naming those that are", async () => {
    const fault = await refused("METRIC_MISSING", () =>
      look(print("METRIC p50=1\nMETRIC p99=2\nMETRICS p95_ms=3")),
    );
    expect(fault.next).toBe(
      "printed: p50, p99; write measure.metric.name: p50, or print a line such as METRIC p95_ms=41.2",
    );
    const other = await refused("METRIC_MISSING", () => look("echo METRIC p50=1", "metric-line:p99"));
    expect(other.next).toContain("printed: p50; write measure.metric.from: metric-line:p50");
    expect((await refused("METRIC_MISSING", () => look("true"))).next).toContain("METRIC p95_ms=");
    await refused("METRIC_MISSING", () => look("echo METRIC p95_ms=1 >&2"));
    await refused("METRIC_MISSING", () => look(print("none"), "json:/a"));
    expect((await refused("METRIC_MISSING", () => look(print('{"b":1}'), "json:/a"))).message).toContain(
      "it has b",
    );
    await refused("METRIC_MISSING", () => look(print('{"a":1}'), "json:/__proto__"));
  });

  it("a guard that is not there, by its place", async () => {
    const fault = await refused("METRIC_MISSING", () =>
      look(print("METRIC p95_ms=1"), "metric-line", [guard("metric-line", "p99")]),
    );
    expect(fault.where).toBe("guards[0]");
  });

  it("a file of results that is not there, is stale, leads out, or is none", async () => {
    const cwd = tempDir();
    write(cwd, { "bench.json": '{"results":[{"command":"x","mean":1}]}', "folder/x": "" });
    symlinkSync(tempDir(), join(cwd, "out"));
    const options = { cwd, metric: metric("hyperfine"), guards: [], timeoutMs: 20_000 };
    const inFile = (output: string, command = "true") => observe({ ...options, command, output });
    const fault = await refused("METRIC_MISSING", () => inFile("bench.json"));
    expect(fault).toMatchObject({
      where: "measure.output",
      message: expect.stringContaining("wrote no bench.json"),
    });
    await refused("METRIC_MISSING", () => inFile("none/bench.json"));
    await refused("METRIC_MISSING", () => inFile("folder"));
    await refused("METRIC_MISSING", () => inFile("bench.json", "ln -s /etc/passwd bench.json"));
    await refused("METRIC_MISSING", () => inFile("bench.json", "mkfifo bench.json"));
    await refused("METRIC_MISSING", () => inFile("bench.json", "truncate -s 100M bench.json"));
    await refused("PATH_ESCAPES", () => inFile("out/bench.json"));
  });

  it("to go on once it is aborted", async () => {
    const signal = AbortSignal.abort(new Error("lease lost"));
    const options = {
      command: "true",
      cwd: tempDir(),
      metric: metric("wall-time"),
      guards: [],
      timeoutMs: 1_000,
      signal,
    };
    await expect(observe(options)).rejects.toThrow("lease lost");
  });
});

describe("runSuite", () => {
  it("answers green, red and hanging, with the output kept", async () => {
    const cwd = tempDir();
    const artifacts = openArtifacts(join(tempDir(), "artifacts"));
    write(cwd, { "green.sh": "echo all good\n" });
    const suite = (command: string, timeoutMs = 20_000) => runSuite({ command, cwd, timeoutMs, artifacts });
    const green = await suite("sh green.sh");
    expect(green).toMatchObject({ passed: true, exit: 0, timedOut: false, excerpt: "all good" });
    expect((await artifacts.get(green.output.sha256)).toString()).toBe("all good\n");
    expect(await suite("echo one failed; exit 1")).toMatchObject({
      passed: false,
      exit: 1,
      excerpt: "one failed",
    });
    expect(await suite("sleep 600", 200)).toMatchObject({ passed: false, exit: null, timedOut: true });
    expect((await suite("seq 1 100000")).excerpt.length).toBeLessThanOrEqual(2_000);
  });
});
