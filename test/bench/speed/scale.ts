import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type BusClient, connectBus, createClient, credentialPath } from "@questbus/bus";
import type { ClaimAnswer } from "@questbus/protocol";
import type { Area } from "../promise.ts";
import { cpuSeconds, pssBytes } from "./cost.ts";
import { endedDir, endedQuests } from "./ended.ts";
import { openIdleAgents } from "./idle.ts";
import { startSpeedStack } from "./questbus.ts";
import { median } from "./round.ts";

const million = 1_000_000;
const idleAgents = 10_000;
/** Whoever claims again does so within this time: the whole of a claim's wait. */
const idleMs = 30_000;
const lookMs = 2_000;
/** Of processor time, between two looks. */
const quietS = 0.1;

/** One stack with one who asks and one who answers. */
type Bench = { orchestratorPid: number; url: string; claimMs(): Promise<number>; stop(): Promise<void> };

async function openBench(dir: string): Promise<Bench> {
  const operator = { role: "operator", name: "bench" } as const;
  const worker = { role: "qa", name: "bench" } as const;
  const stack = await startSpeedStack(dir, [operator, worker]);
  const connect = async ({
    role,
    name,
  }: typeof operator | typeof worker): Promise<[BusClient, () => Promise<void>]> => {
    const connection = await connectBus({ url: stack.url, credential: credentialPath(dir, role, name) });
    return [createClient(connection), () => connection.close()];
  };
  const [asking, endAsking] = await connect(operator);
  const [working, endWorking] = await connect(worker);
  return {
    ...stack,
    async claimMs() {
      const phases = ["test" as const];
      await asking.request("ask", { role: "qa", phases, text: "bench", data: {}, waitMs: 0 });
      const sinceMs = performance.now();
      const granted = (await working.request("claim", { waitMs: 0, asks: 1 })) as ClaimAnswer;
      const tookMs = performance.now() - sinceMs;
      if (granted.status !== "asked") throw new Error(`the claim was answered with ${granted.status}`);
      const [{ assignment, epoch } = { assignment: "", epoch: 0 }] = granted.asks;
      const outcome = { assignment, epoch, phase: "test" as const, result: {}, fault: null };
      await working.request("report", { task: "ask", asks: [outcome] });
      return tookMs;
    },
    async stop() {
      await endAsking();
      await endWorking();
      await stack.stop();
    },
  };
}

/** Waits until the orchestrator has nothing left to do: at the first start, its archive takes in all that was made. */
async function untilQuiet(pid: number): Promise<void> {
  for (let beforeS = Number.NEGATIVE_INFINITY; ; ) {
    const nowS = cpuSeconds([pid]);
    if (nowS - beforeS < quietS) return;
    beforeS = nowS;
    await delay(lookMs);
  }
}

/** A short run takes the million where it was made already. */
export const proveScale: Area = async function* ({ full, note }) {
  const count = full || existsSync(endedDir(million)) ? million : million / 10;
  const large = await openBench(endedQuests(count, note));
  await untilQuiet(large.orchestratorPid);
  const dir = mkdtempSync(join(process.env.BENCH_DATA ?? tmpdir(), "questbus-empty-"));
  const empty = await openBench(dir);
  const idle = await openIdleAgents(endedDir(count), large.url, idleAgents);
  try {
    const [many, none]: [number[], number[]] = [[], []];
    for (let round = 0; round < (full ? 1_000 : 300); round += 1) {
      // Who is first changes with every round.
      if (round % 2 === 0) many.push(await large.claimMs());
      none.push(await empty.claimMs());
      if (round % 2 === 1) many.push(await large.claimMs());
    }
    const ratio = median(many) / median(none);
    const scene = `${idleAgents.toLocaleString("en")} idle agents and ${count.toLocaleString("en")} ended quests`;
    yield {
      id: "speed.scale.claim",
      what: `a claim, with ${scene}, against an empty database; medians of turns`,
      goal: "≤ 1.5 times",
      value: `${ratio.toFixed(2)} times (${median(many).toFixed(2)} ms : ${median(none).toFixed(2)} ms)`,
      ok: ratio <= 1.5 && count === million,
    };
    const beforeS = cpuSeconds([large.orchestratorPid]);
    await delay(idleMs);
    const share = (cpuSeconds([large.orchestratorPid]) - beforeS) / (idleMs / 1_000);
    const memory = Math.round(pssBytes(large.orchestratorPid) / 1024 ** 2);
    yield {
      id: "speed.scale.memory",
      what: `memory of the orchestrator with ${scene}`,
      goal: "≤ 300 MB",
      value: `${memory} MB; waiting takes it ${(share * 100).toFixed(1)} % of one processor`,
      ok: memory <= 300 && count === million,
    };
  } finally {
    await idle.close();
    await large.stop();
    await empty.stop();
    rmSync(dir, { recursive: true, force: true });
  }
};
