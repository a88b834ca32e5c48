import type { BusClient } from "@questbus/bus";
import { type AskGrant, limit, type Verb } from "@questbus/protocol";
import { expect, it, vi } from "vitest";
import { AskHands, type AskTask } from "../src/asks.ts";
import { stated } from "../src/stated.ts";

const grantOf = (assignment: string): AskGrant => ({
  assignment,
  epoch: 1,
  phase: "test",
  text: "why?",
  data: null,
  results: [],
});

it("an answer that comes back is given again, with what was missing, under the same lease", async () => {
  const reports: { asks: object[] }[] = [];
  const fault = { code: "SOURCE_MISSING", message: "no source" } as const;
  const request = async (verb: Verb, data: unknown): Promise<unknown> => {
    if (verb !== "report") return {};
    const isFirst = reports.push(data as { asks: object[] }) === 1;
    const held = { assignment: "unsure", epoch: 1, phase: "test" };
    return { asks: [isFirst ? { status: "clarification", ...held, fault } : { status: "ended", ...held }] };
  };
  const missing: unknown[] = [];
  const stopping = new AbortController();
  const hands = new AskHands({
    client: { request } as unknown as BusClient,
    answer: ({ clarification }) => {
      missing.push(clarification);
      return stated("so", { certainty: 0.5, ...(clarification ? { sources: ["a.ts:1"] } : {}) });
    },
    asksMax: 1,
    signal: stopping.signal,
  });
  hands.take([grantOf("unsure")]);
  await hands.untilRoom();
  expect(missing).toEqual([undefined, fault]);
  expect(reports.flatMap(({ asks }) => asks)).toMatchObject([
    { result: "so", certainty: 0.5 },
    { result: "so", certainty: 0.5, sources: ["a.ts:1"] },
  ]);
  stopping.abort();
  await hands.stop();
});

it("says which phases it takes, and gives an ask back whose next phase is another", async () => {
  const sent: { verb: Verb; assignment: string; reason?: string }[] = [];
  const request = async (verb: Verb, data: unknown): Promise<unknown> => {
    sent.push({ verb, ...(data as AskGrant) });
    return { asks: [{ status: "next", assignment: "long", epoch: 1, phase: "fix" }] };
  };
  const stopping = new AbortController();
  const client = { request } as unknown as BusClient;
  const answer = vi.fn(() => "found");
  const hands = new AskHands({ client, answer, phases: ["test"], asksMax: 1, signal: stopping.signal });
  expect(hands.wanted).toEqual({ asks: 1, askPhases: ["test"] });
  hands.take([grantOf("long")]);
  await hands.untilRoom();
  expect(answer).toHaveBeenCalledOnce();
  expect(sent.at(-1)).toMatchObject({ verb: "release", assignment: "long", epoch: 1 });
  stopping.abort();
  await hands.stop();
  expect(sent.map(({ verb }) => verb)).toEqual(["report", "release"]);
  expect(new AskHands({ client, answer, signal: stopping.signal }).wanted).toEqual({ asks: 16 });
});

it("an ask of which nothing is heard for five minutes is given back; one that moves on is renewed", async () => {
  vi.useFakeTimers();
  const sent: { verb: Verb; assignment: string; reason?: string }[] = [];
  const request = async (verb: Verb, data: unknown): Promise<unknown> =>
    sent.push({ verb, ...(data as AskGrant) });
  const tasks = new Map<string, AskTask>();
  const stopping = new AbortController();
  const hands = new AskHands({
    client: { request } as unknown as BusClient,
    answer: (task) => {
      tasks.set(task.assignment, task);
      return new Promise(() => {});
    },
    signal: stopping.signal,
  });
  hands.take([grantOf("still"), grantOf("moving")]);
  const aborted = vi.fn();
  tasks.get("still")?.signal.addEventListener("abort", aborted);
  for (let ms = 0; ms < limit.stillMs + 2 * limit.renewEveryMs; ms += limit.renewEveryMs) {
    await vi.advanceTimersByTimeAsync(limit.renewEveryMs);
    tasks.get("moving")?.progress();
  }
  const released = sent.filter(({ verb }) => verb === "release");
  expect(released).toMatchObject([{ assignment: "still", reason: "no progress" }]);
  expect(aborted).toHaveBeenCalledOnce();
  expect(sent.at(-1)).toMatchObject({ verb: "renew", assignment: "moving" });
  stopping.abort();
  await hands.stop();
  expect(sent.at(-1)).toMatchObject({ verb: "release", assignment: "moving", reason: "the agent stops" });
  vi.useRealTimers();
});
