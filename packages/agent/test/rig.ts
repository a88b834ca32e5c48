import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BusClient, systemTime, type Time } from "@questbus/bus";
import {
  type CommandData,
  type ErrorCode,
  type Grant,
  type JournalRow,
  limit,
  QuestbusError,
  type Report,
  type Verb,
} from "@questbus/protocol";
import { openSandbox } from "@questbus/workbench";
import { pino } from "pino";
import { afterEach, beforeEach, vi } from "vitest";
import type { Behaviour, Outcome, TaskContext } from "../src/behaviour.ts";
import { runSession, type Session } from "../src/session.ts";

/** One agent's life over a fake bus: its grants are handed out in order, and what it sends is kept. */

export const grantOf = (part: Partial<Grant["brief"]> = {}, epoch = 1): Grant =>
  ({
    assignment: "q-00000000.performance",
    role: "performance",
    epoch,
    leaseMs: limit.leaseMs,
    brief: {
      quest: "q-00000000",
      pass: 1,
      phase: "fix",
      task: "produce",
      base: {},
      spec: { target: {}, allow: { dependencies: false } },
      ...part,
    },
  }) as unknown as Grant;

export const outcome: Outcome = {
  result: { candidate: null, forbiddenPaths: [], setAside: [], original: null },
  summary: "changed nothing",
};
export const refusal = (code: ErrorCode): QuestbusError =>
  new QuestbusError({ code, message: `refused: ${code}` });

type Sent = { verb: Verb; data: CommandData[Verb] };
type Handler = (data: never, times: number) => unknown;

/** A bus that answers each verb by its handler; a claim beyond the last grant waits until the agent is stopped. */
export function bus(grants: readonly Grant[], handlers: Partial<Record<Verb, Handler>> = {}) {
  const stop = new AbortController();
  const sent: Sent[] = [];
  const waiting = [...grants];
  const ended = (signal: AbortSignal | undefined): Promise<never> =>
    new Promise((_, reject) => {
      signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
      if (signal?.aborted) reject(signal.reason);
    });
  const client: BusClient = {
    async request(verb, data, options) {
      const times = sent.push({ verb, data }) && of(verb).length;
      const handler = handlers[verb];
      if (handler) return handler(data as never, times);
      if (verb !== "claim") return {};
      const grant = waiting.shift();
      if (grant) return { status: "granted", grant };
      stop.abort();
      return ended(options?.signal);
    },
    async watchEvents({ quest }, handler) {
      hearing.set(quest, handler);
      return () => hearing.delete(quest);
    },
  };
  const hearing = new Map<string | undefined, (row: JournalRow) => void>();
  const tell = (type: JournalRow["type"]): void => {
    for (const hear of hearing.values()) hear({ type } as JournalRow);
  };
  const of = (verb: Verb): CommandData[Verb][] =>
    sent.filter((each) => each.verb === verb).map((each) => each.data);
  return { client, sent, stop, of, tell, hearing, reports: () => of("report") as Report[] };
}

export let stateDir = "";
beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), "questbus-agent-"));
});
afterEach(() => {
  vi.useRealTimers();
  rmSync(stateDir, { recursive: true, force: true });
});

type Bus = ReturnType<typeof bus>;

export function live(
  { client, stop }: Bus,
  work: (context: TaskContext) => Promise<Outcome>,
  incarnation = "one",
  time: Time = systemTime,
): Promise<void> {
  const behaviour: Behaviour = { test: work, fix: work, validate: work };
  return runSession({ ...sessionWith(client, stop.signal, behaviour), time }, incarnation);
}

export const sessionWith = (client: BusClient, signal: AbortSignal, behaviour: Behaviour): Session => ({
  client,
  sandbox: openSandbox({ policy: "off", hidden: [] }),
  definition: {
    name: "performance",
    description: "",
    role: "performance",
    phases: { test: "", fix: "", validate: "" },
    never: [],
    keywords: [],
    activate: [],
    commands: ["*"],
    tools: [],
    body: "",
  },
  behaviour,
  name: "performance",
  stateDir,
  log: pino({ level: "silent" }),
  signal,
});
