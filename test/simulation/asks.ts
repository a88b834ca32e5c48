import { type AskTask, stated, workAsks } from "@questbus/agent";
import type { BusClient, Time } from "@questbus/bus";
import {
  type AskAnswer,
  canonicalText,
  limit,
  type Phase,
  type Principal,
  QuestbusError,
  type Role,
  roles,
} from "@questbus/protocol";
import type { StoreReader } from "@questbus/store";
import { insist } from "../faults/agents.ts";
import type { Numbers } from "../faults/numbers.ts";
import type { Scheduler } from "./scheduler.ts";

/**
 * Asks of a simulated world: an operator asks and waits as `questbus ask` does, hands of the product's SDK answer, and
 * die with all they hold. No two results are the same text, so that work that counted twice would show.
 */
export type SimulatedAsks = {
  /** What submitters were told, in the order of time. */
  readonly told: readonly Told[];
  isOver(): boolean;
  calm(): void;
};

/** An answer, and how many answers had come to anyone when its question was sent: those alone it has to agree with. */
export type Told = { answer: AskAnswer; sentAfter: number };

type Parts = {
  scheduler: Scheduler;
  numbers: Numbers;
  clientAs: (role: Principal, name: string, isAlive?: () => boolean) => BusClient;
  newId: () => string;
  /** Ids of what the product's hands report. */
  newReportId: () => string;
  /** Gets what is thrown where nobody waits for it. */
  thrown: unknown[];
};

const phaseLists: Phase[][] = [["fix"], ["test", "fix"], ["test", "fix", "validate"]];

export function openAsks(parts: Parts): SimulatedAsks {
  const { numbers } = parts;
  const count = numbers.one([0, 0, 2, 6, 40]);
  const role = numbers.one(roles);
  const told: Told[] = [];
  let open = count;
  for (let at = 0; at < count; at += 1)
    void askOnce(parts, { role, text: `ask ${at}`, told })
      .catch((error: unknown) => parts.thrown.push(error))
      .finally(() => {
        open -= 1;
      });
  const crew = count > 0 ? openHands(parts, role) : { calm: () => {} };
  return { told, isOver: () => open === 0, calm: () => crew.calm() };
}

type Asked = { role: Role; text: string; told: Told[] };

/** Asks until there is an answer, with one id, and now and then once more when it is there, or twice at once. */
async function askOnce({ scheduler, numbers, clientAs, newId }: Parts, asked: Asked): Promise<void> {
  const { role, text, told } = asked;
  const client = clientAs("operator", "operator");
  const [id, phases, twice] = [newId(), numbers.one(phaseLists), numbers.chance(0.2)];
  await scheduler.pause(numbers.below(20_000));
  const tryOnce = async (waitMs: number): Promise<boolean> => {
    const sentAfter = told.length;
    const answer = (await insist(
      client,
      "ask",
      { role, phases, text, data: null, waitMs },
      { id },
    )) as AskAnswer | null;
    if (!answer) throw new Error(`${text} was refused`);
    told.push({ answer, sentAfter });
    return answer.status !== "pending";
  };
  const untilTold = async (): Promise<void> => {
    for (let waitMs = 1_000; !(await tryOnce(waitMs)); ) waitMs = numbers.below(limit.claimWaitMsMax);
  };
  await Promise.all(twice ? [untilTold(), untilTold()] : [untilTold()]);
  await scheduler.pause(numbers.below(30_000));
  await tryOnce(0);
}

/** One or two agents that take asks; in the storm they die, hang, and come back under their names. */
function openHands(
  { scheduler, numbers, clientAs, newId, newReportId }: Parts,
  role: Role,
): { calm(): void } {
  let stormy = true;
  const [slow, fails] = [numbers.one([0, 0.1]), numbers.one([0, 0.05])];
  const livesMs = numbers.one([Number.POSITIVE_INFINITY, 20_000, 5_000]);
  const asksMax = numbers.one([1, 4, 64]);
  const answer = async (phase: Phase): Promise<string> => {
    if (stormy && numbers.chance(slow)) await scheduler.pause(numbers.below(2 * limit.leaseMs));
    else if (numbers.chance(0.5)) await scheduler.pause(numbers.below(200));
    // Not in the quiet: an agent whose breaker opens again then is let wait for longer than a quest is given to end.
    if (numbers.chance(fails) && stormy)
      throw new QuestbusError({ code: "INTERNAL", message: "the hands failed" });
    return `${phase} ${newId()}`;
  };
  /** Some hands are not always sure, and of what they say so some has no source, however often they are asked. */
  const wavers = asksMax === 4;
  const answerSurely = async ({ phase, clarification }: AskTask): Promise<unknown> => {
    const text = await answer(phase);
    const share = [...text].reduce((sum, each) => sum + each.charCodeAt(0), 0) % 16;
    if (!wavers || share > 3) return text;
    return stated(text, {
      certainty: 0.5,
      ...(clarification && share > 0 ? { sources: ["src/a.ts:1"] } : {}),
    });
  };
  const live = (name: string): void => {
    let alive = true;
    const isAlive = (): boolean => alive;
    const client = clientAs(role, name, isAlive);
    const time: Time = scheduler.timeOf(isAlive);
    const stopping = new AbortController();
    void workAsks({
      client,
      time,
      newId: newReportId,
      asksMax,
      answer: answerSurely,
      signal: stopping.signal,
    });
    if (!Number.isFinite(livesMs)) return;
    scheduler.after(1 + numbers.below(livesMs), () => {
      if (!stormy) return;
      // One is told to stop and gives back what it holds; the other is gone.
      if (numbers.chance(0.3)) stopping.abort();
      else alive = false;
      scheduler.after(numbers.below(15_000), () => live(name));
    });
  };
  for (let at = 0; at <= numbers.below(2); at += 1) live(`hands-${at}`);
  return {
    calm() {
      stormy = false;
    },
  };
}

/** Every answer to one ask is the same for ever, and is what stands in the store; nobody was told of one that is not there. */
export function toldProblems(told: readonly Told[], store: StoreReader): string[] {
  const final = new Map<string, { text: string; at: number }>();
  return told.flatMap(({ answer, sentAfter }, at) => {
    const row = store.getAsk(answer.ask);
    if (!row) return [`${answer.ask} was answered as ${answer.status}, and is not there`];
    const before = final.get(answer.ask);
    // Of two who ask at once, one can be told late what was true when it asked.
    if (answer.status === "pending")
      return before && before.at < sentAfter ? [`${answer.ask} is pending again after its answer`] : [];
    const text = canonicalText(answer);
    final.set(answer.ask, before ?? { text, at });
    if (before && before.text !== text) return [`${answer.ask}: ${before.text}, and then ${text}`];
    const { status, results, stated: said, fault } = row;
    const stored = fault
      ? { ask: row.id, status, fault }
      : { ask: row.id, status, results, ...(said.some(Boolean) ? { stated: said } : {}) };
    return canonicalText(stored) === text
      ? []
      : [`${answer.ask}: ${text} was told, ${canonicalText(stored)} is stored`];
  });
}
