import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { addCredential, credentialPath } from "@questbus/bus";
import {
  type BareStack,
  type Mcp,
  makeTarget,
  openMcp,
  openPlace,
  type Place,
  questbus,
  startBareStack,
  startQuestbus,
  type Target,
  watchJournal,
  writeQuest,
} from "@questbus/testkit";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { summaryOf } from "./expectation.ts";

vi.setConfig({ testTimeout: 300_000, hookTimeout: 60_000 });

/** The workers of examples/workers: other languages, with nothing of ours. */
const workers = join(import.meta.dirname, "..", "..", "examples", "workers");
const sdk = join(import.meta.dirname, "..", "..", "packages", "agent");

const missing = ["python3", "bash", "openssl"].filter((program) => spawnSync(program, ["--help"]).error);
if (missing.length > 0)
  process.stderr.write(
    `\nSKIPPED: workers in other languages; install ${missing.join(", ")} to test them\n\n`,
  );

/** Performance with the SDK: the built-in work, and a word of its own on top. */
const withSdk = `import { joinAs } from "@questbus/agent";
const stop = new AbortController();
process.once("SIGTERM", () => stop.abort());
await using agent = await joinAs({ credentials: process.argv[2], role: "performance", signal: stop.signal });
await agent.handle({ validate: () => ({ summary: "says the SDK" }) });
`;

/** What an architect answers who is a model, and reads a brief: the quest's one candidate is tried. */
// biome-ignore lint/suspicious/noExplicitAny: whatever a tool said
const architectOf = (task: string, { spec, candidate }: any): object => {
  const fixers = spec.fixers.map(({ name }: { name: string }, index: number) => {
    return { index, name, files: [], usable: true, reason: "nobody has seen it yet" };
  });
  if (task === "plan") return { fixers, blastRadius: { files: 1, tracked: 12 }, seal: null };
  if (task === "choose") return { fixer: 0, reason: "the only one", dropped: [] };
  return { files: candidate.files, withinPlan: true };
};

/** The worker's loop of an MCP client, until it is closed. */
async function loop({ call }: Mcp): Promise<never> {
  for (;;) {
    const { said } = await call("claim_assignment", { wait_ms: 5_000 });
    if (said.data?.status !== "granted") continue;
    const { assignment, epoch, task, brief } = said.data;
    const signed = task === "review" ? { sign_off: { vote: "yes", reasons: ["within the plan"] } } : {};
    const given = {
      assignment,
      epoch,
      summary: `${task} by a model`,
      result: architectOf(task, brief),
      ...signed,
    };
    const answer = await call("submit_report", given);
    if (answer.isError) throw new Error(JSON.stringify(answer.said));
  }
}

describe.skipIf(missing.length > 0)("workers in other languages", () => {
  let place: Place;
  let target: Target;
  let stack: BareStack;
  const children: ChildProcess[] = [];

  beforeEach(async () => {
    place = openPlace("any-language");
    target = makeTarget(place);
    mkdirSync(place.path("state"));
    addCredential(place.path("state"), { role: "performance", name: "sdk" });
    addCredential(place.path("state"), { role: "ops", name: "command" });
    stack = await startBareStack(place.path("state"), { env: place.env });
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

  test("five agents of five kinds work one quest to acceptance: SDK, Python, shell, an MCP client and a command; they find a new broker", async () => {
    const python = start("python3", join(workers, "python/qa.py"), "--state", "state");
    const shell = start("bash", join(workers, "shell/supply.sh"), "state", "cat", target.patch("gain"));
    mkdirSync(place.path("node_modules", "@questbus"), { recursive: true });
    symlinkSync(sdk, place.path("node_modules", "@questbus", "agent"));
    writeFileSync(place.path("worker.mjs"), withSdk);
    const js = start(process.execPath, "worker.mjs", credentialPath("state", "performance", "sdk"));
    const says = `echo '{"summary":"says a command"}'`;
    const named = ["--role", "ops", "--credential", credentialPath("state", "ops", "command")];
    const command = startQuestbus(place, [
      "agent",
      "run",
      "--state",
      "state",
      ...named,
      "--",
      "sh",
      "-c",
      says,
    ]);
    const journal = watchJournal(place.path("state"));
    for (const { pid } of [python, js, command])
      await journal.until("agent.joined", (body) => body.pid === pid);
    const mcp = await openMcp(place, {
      stateDir: place.path("state"),
      role: "architect",
      era: "modern",
      door: "stdio",
    });
    await stack.replaceBroker();
    const looping = loop(mcp);
    const file = writeQuest(place, { fixers: [{ worker: true }], budget: { passes: 1 } });
    const running = questbus(place, ["run", file, "--state", "state", "--json"]);
    const ended = await Promise.race([running, looping]);
    looping.catch(() => {});
    await mcp.close();
    const said = `${ended.stderr}\npython: ${python.printed()}\nshell: ${shell.printed()}\nsdk: ${js.printed()}\ncommand: ${command.printed().stderr}`;
    command.signal("SIGINT");
    await command.ended;
    const { quest, ...summary } = summaryOf(ended);
    expect(summary, said).toMatchObject({
      status: "accepted",
      passes: [{ n: 1, fixer: "worker", verdict: "ACCEPT" }],
    });

    const reports = journal.of("task.reported").map(({ actor, body: { report } }) => {
      return `${actor.role}/${actor.name} ${report.task}`;
    });
    const supplied = journal.of("candidate.supplied").map(({ actor }) => `${actor.role}/${actor.name}`);
    const left = await journal.until("agent.left", () => true);
    journal.close();
    expect(reports).toEqual([
      "architect/architect plan",
      "ops/command fitness",
      "qa/qa base-suite",
      "performance/sdk base-measure",
      "architect/architect choose",
      "qa/qa separate",
      "ops/command prepare",
      "performance/sdk produce",
      "architect/architect review",
      "qa/qa suite",
      "performance/sdk gate",
      "ops/command guard",
      "ops/command settle",
    ]);
    expect(supplied).toEqual(["worker/worker"]);
    expect(left.actor).toEqual({ role: "ops", name: "command" });
    expect(python.printed()).toContain(`${quest} pass 1 suite: suite on the candidate: green`);
    expect(shell.printed()).toContain(`${quest} pass 1: supplied`);
    const verified = await questbus(place, ["audit", "verify", "--state", "state", "--json"]);
    expect(verified.exit, verified.stderr).toBe(0);
  });

  test("the Python agent names the line that failed, and not the tail of all that was printed", () => {
    const shown = (output: string): string => {
      const script =
        "import sys; sys.path.insert(0, sys.argv[1]); import qa; print(qa.failing(sys.stdin.read()))";
      const ran = spawnSync("python3", ["-c", script, join(workers, "python")], {
        input: output,
        encoding: "utf8",
      });
      return ran.stdout + ran.stderr;
    };
    const words = "x".repeat(3_000);
    expect(shown(`${words}\n  not ok 3 - adds up\n  ---\n  duration_ms: 21.0\n${words}`)).toBe(
      "not ok 3 - adds up\n",
    );
    expect(shown("one\n✖ two\nthree\n")).toBe("✖ two\n");
    expect(shown("compiling\nno such file\n\n")).toBe("no such file\n");
    expect(shown(" \n")).toBe("no output\n");
  });

  test("a command that no credential may send is refused at once, in Python and in shell", async () => {
    const python = `import sys
sys.path.insert(0, sys.argv[1])
from bus import Bus, Refused
bus = Bus("state", "qa", "qa")
try:
    bus.request("claimm", {}, patience_s=2)
except Refused as refused:
    print(refused, refused.retryable)
bus.request("hello", {"incarnation": "after", "pid": 1})
print("went on")`;
    const shell = `. "$1"/bus.sh
bus_open state qa qa && bus_request claimm '{}'
echo "$?: $answer"`;
    const said = async (program: string, script: string, folder: string): Promise<string> => {
      start(program, "-c", script, ...(program === "bash" ? ["bash"] : []), join(workers, folder));
      const child = children.at(-1) as ChildProcess;
      const chunks: string[] = [];
      child.stdout?.on("data", (chunk: string) => chunks.push(chunk));
      await once(child, "close");
      return chunks.join("");
    };
    const [inPython, inShell] = await Promise.all([
      said("python3", python, "python"),
      said("bash", shell, "shell"),
    ]);
    const violation = `'Permissions Violation for Publish to "local.qa.qa.claimm"'`;
    expect(inPython).toBe(`ROLE_FORBIDDEN: qa/qa: -ERR ${violation} False\nwent on\n`);
    expect(inShell).toContain(`1: -ERR ${violation}`);
  });
});
