import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import type { HttpTarget } from "@questbus/protocol";
import { describe, expect, it } from "vitest";
import { type Profiled, profileRun } from "../src/profile.ts";
import { tempDir, write } from "./fixture.ts";

const node = JSON.stringify(process.execPath);

/** A program whose name, path and working directory hold a space, and whose time goes to one function. */
function program(bench: string): string {
  const dir = join(tempDir(), "a target");
  mkdirSync(dir);
  write(dir, {
    "src/slow.cjs": `exports.planted = () => {
  const end = performance.now() + 60;
  let sum = 0;
  while (performance.now() < end) for (let i = 0; i < 10_000; i++) sum += Math.sqrt(i);
  return sum;
};
`,
    "bench.mjs": bench,
  });
  return dir;
}

const run = (
  cwd: string,
  command: string,
  more: { timeoutMs?: number; http?: HttpTarget } = {},
): Promise<Profiled> =>
  profileRun({ command, cwd, timeoutMs: 20_000, scratch: join(cwd, "..", "scratch"), wallMs: 100, ...more });

type Profile = { nodes: { callFrame: { functionName: string; url: string; lineNumber: number } }[] };
const framesOf = ({ run: { cpuProfiles } }: Profiled): string[] =>
  (cpuProfiles as Profile[]).flatMap(({ nodes }) =>
    nodes.map(
      ({ callFrame: { functionName, url, lineNumber } }) => `${functionName} ${url}:${lineNumber + 1}`,
    ),
  );
const planted =
  /^exports\.planted file:.*a%20target\/src\/slow\.cjs:1$|^exports\.planted .*a target\/src\/slow\.cjs:1$/;

describe("a Node program", () => {
  it("leaves its CPU profile, its heap's story, and what its processes used; nothing else", async () => {
    const cwd = program('import { planted } from "./src/slow.cjs";\nplanted();\nglobalThis.gc?.();\n');
    const found = await run(cwd, `${node} --expose-gc bench.mjs`);
    expect(
      framesOf(found).some((each) => planted.test(each)),
      framesOf(found).join("\n"),
    ).toBe(true);
    expect(found.kept).toHaveLength(1);
    expect(found.run.notes).toEqual([]);
    expect(found.run.usage?.cpuMs).toBeGreaterThan(20);
    expect(found.run.usage?.peakRssBytes).toBeGreaterThan(1_000_000);
    expect(found.run.heap?.collections).toBeGreaterThan(0);
    expect(found.run.heap?.limitBytes).toBeGreaterThan(found.run.heap?.peakBytes ?? Number.POSITIVE_INFINITY);
    expect(existsSync(join(cwd, "..", "scratch"))).toBe(false);
  });

  it("with children, a worker thread, and process.exit: each leaves its own", async () => {
    const cwd = program(`import { spawnSync } from "node:child_process";
import { Worker, isMainThread } from "node:worker_threads";
import { planted } from "./src/slow.cjs";
if (process.argv[2] === "child") { planted(); process.exit(0); }
spawnSync(process.execPath, ["bench.mjs", "child"]);
new Worker("require('./src/slow.cjs').planted()", { eval: true }).on("exit", () => process.exit(0));
`);
    const found = await run(cwd, `${node} bench.mjs`);
    expect(found.run.cpuProfiles).toHaveLength(3);
    expect(framesOf(found).filter((each) => planted.test(each)).length).toBeGreaterThanOrEqual(2);
  });

  it("a server that its bench ends with a signal", async () => {
    const cwd = program(`import { planted } from "./src/slow.cjs";
planted();
console.log("ready");
setInterval(() => {}, 1_000);
`);
    const found = await run(
      cwd,
      `${node} bench.mjs > out & pid=$!
until grep -q ready out; do :; done
kill $pid; wait $pid; [ $? = 143 ]`,
    );
    expect(found.run.notes).toEqual([]);
    expect(framesOf(found).some((each) => planted.test(each))).toBe(true);
  });

  it("an HTTP server under load", async () => {
    const cwd = program(`import { createServer } from "node:http";
import { planted } from "./src/slow.cjs";
createServer((_, response) => response.end(String(planted()))).listen(Number(process.env.PORT), "127.0.0.1");
`);
    const load = {
      url: "/",
      connections: 1,
      durationMs: 300,
      warmupMs: 0,
      rate: null,
      method: "GET",
      body: null,
      headers: {},
    };
    const http = {
      start: `exec ${node} bench.mjs`,
      ready: "/",
      port: null,
      readyMs: 10_000,
      load,
      errorsMax: 0,
    };
    const found = await run(cwd, http.start, { http });
    expect(found.run.notes).toEqual([]);
    expect(framesOf(found).some((each) => planted.test(each))).toBe(true);
    expect(found.run.usage?.peakRssBytes).toBeGreaterThan(1_000_000);
  });

  it.each([
    ["sets NODE_OPTIONS itself", `NODE_OPTIONS=--no-warnings ${node} -e 0`],
    ["is none", "awk 'BEGIN { for (i = 0; i < 100000; i++) s += i }'"],
    ["is killed", `${node} -e "process.kill(process.pid, 'SIGKILL')"; true`],
  ])("one that %s is measured from outside, and a note says the rest", async (_, command) => {
    const { run: found, kept } = await run(program(""), command);
    expect(kept).toEqual([]);
    expect(found.cpuProfiles).toEqual([]);
    expect(found.heap).toBeNull();
    expect(found.usage?.wallMs).toBeGreaterThan(0);
    expect(found.notes).toEqual([expect.stringContaining("no process wrote a CPU profile")]);
  });

  it.each([
    ["fails", "exit 3", {}, "exit code 3"],
    ["hangs", "while :; do sleep 1; done", { timeoutMs: 300 }, "did not end in time"],
  ])("one that %s under the profiler says nothing but that", async (_, command, more, said) => {
    const { run: found } = await run(program(""), command, more);
    expect(found).toMatchObject({ cpuProfiles: [], usage: null, heap: null });
    expect(found.notes).toEqual([expect.stringContaining(said)]);
  });
});
