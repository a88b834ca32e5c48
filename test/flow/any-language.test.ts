import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import {
  type BareStack,
  makeTarget,
  openPlace,
  type Place,
  questbus,
  startBareStack,
  type Target,
  watchJournal,
  writeQuest,
} from "@questbus/testkit";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { summaryOf } from "./expectation.ts";

vi.setConfig({ testTimeout: 300_000, hookTimeout: 60_000 });

/** The workers of examples/workers: other languages, with nothing of ours. */
const workers = join(import.meta.dirname, "..", "..", "examples", "workers");

const missing = ["python3", "bash", "openssl"].filter((program) => spawnSync(program, ["--help"]).error);
if (missing.length > 0)
  process.stderr.write(
    `\nSKIPPED: workers in other languages; install ${missing.join(", ")} to test them\n\n`,
  );

describe.skipIf(missing.length > 0)("workers in other languages", () => {
  let place: Place;
  let target: Target;
  let stack: BareStack;
  const children: ChildProcess[] = [];

  beforeEach(async () => {
    place = openPlace("any-language");
    target = makeTarget(place);
    stack = await startBareStack(place.path("state"), {
      env: place.env,
      agents: ["architect", "performance", "ops"],
    });
  });
  afterEach(async () => {
    for (const child of children) {
      child.kill();
      if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
    }
    await stack.stop();
    await place.close();
  });

  function start(program: string, ...args: string[]): { pid: number | undefined; printed(): string } {
    const child = spawn(program, args, { cwd: place.dir, env: place.env, stdio: ["ignore", "pipe", "pipe"] });
    let text = "";
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding("utf8").on("data", (chunk: string) => {
        text += chunk;
      });
    children.push(child);
    return { pid: child.pid, printed: () => text };
  }

  test("a quest is accepted with a candidate from plain shell, and QA in Python; both find a new broker", async () => {
    const python = start("python3", join(workers, "python/qa.py"), "--state", "state");
    const shell = start("bash", join(workers, "shell/supply.sh"), "state", "cat", target.patch("gain"));
    const journal = watchJournal(place.path("state"));
    await journal.until("agent.joined", ({ pid }) => pid === python.pid);
    await stack.replaceBroker();
    const file = writeQuest(place, { fixers: [{ worker: true }], budget: { passes: 1 } });
    const ended = await questbus(place, ["run", file, "--state", "state", "--json"]);
    const said = `${ended.stderr}\npython: ${python.printed()}\nshell: ${shell.printed()}`;
    const { quest, ...summary } = summaryOf(ended);
    expect(summary, said).toMatchObject({
      status: "accepted",
      passes: [{ n: 1, fixer: "worker", verdict: "ACCEPT" }],
    });

    const byQa = journal.of("task.reported").filter(({ actor }) => actor.role === "qa");
    journal.close();
    expect(byQa.map(({ body }) => body.report.task)).toEqual(["base-suite", "separate", "suite"]);
    expect(python.printed()).toContain(`${quest} pass 1 suite: suite on the candidate: green`);
    expect(shell.printed()).toContain(`${quest} pass 1: supplied`);
    const verified = await questbus(place, ["audit", "verify", "--state", "state", "--json"]);
    expect(verified.exit, verified.stderr).toBe(0);
  });
});
