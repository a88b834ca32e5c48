import { expect, test } from "vitest";
import type { GateSamples, Observation } from "../src/index.ts";
import { limit } from "../src/limit.ts";

const nodeTimerMsMax = 2 ** 31 - 1;
/** What a proxy or a broker between caller and orchestrator commonly allows one request. */
const requestMsMax = 30_000;

test("every limit is a whole number above zero", () => {
  expect(Object.entries(limit).filter(([, value]) => !Number.isSafeInteger(value) || value <= 0)).toEqual([]);
});

test("three renewals fit into a lease, so that two may be lost", () => {
  expect(3 * limit.renewEveryMs).toBeLessThan(limit.leaseMs);
});

test("a renewal that is answered as late as allowed still comes before the lease is over", () => {
  expect(limit.renewEveryMs + limit.answerTimeoutMs).toBeLessThan(limit.leaseMs);
});

test("a claim is answered before anything between it and the orchestrator gives up", () => {
  expect(limit.claimWaitMsMax + limit.answerTimeoutMs).toBeLessThanOrEqual(requestMsMax);
});

test("committed rows are outside of the database within a second, with time to write them", () => {
  expect(2 * limit.archiveEveryMs).toBeLessThan(1_000);
});

test("every time fits into one timer", () => {
  const times = Object.entries(limit).filter(([name]) => /Ms(Max)?$/.test(name));
  expect(times.length).toBeGreaterThan(4);
  expect(times.filter(([, value]) => value > nodeTimerMsMax)).toEqual([]);
});

test("three passes, and one more by an arbiter: the four shares of the error budget", () => {
  expect(limit.passesMax).toBe(3);
  expect(limit.passesGrantedMax).toBe(1);
});

test("pairs: the default and the confirmation are within the most", () => {
  expect(limit.pairsDefault).toBeLessThanOrEqual(limit.pairsMax);
  expect(limit.confirmationPairs).toBeLessThanOrEqual(limit.pairsMax);
});

test("a quest file fits into a message even when half of it has to be escaped", () => {
  expect(2 * limit.questFileBytesMax).toBeLessThan(limit.messageBytesMax);
});

test("what is kept of output and of refused messages fits into a message", () => {
  const utf8BytesMax = 4;
  expect(limit.excerptCharsMax * utf8BytesMax).toBeLessThan(limit.messageBytesMax / 16);
  expect(limit.reasonCharsMax * utf8BytesMax * 16).toBeLessThan(limit.messageBytesMax);
  expect(limit.deadLetterBytesMax).toBeLessThan(limit.messageBytesMax);
});

test("a batch is a small part of the queue, so that a full queue is worked off in turns", () => {
  expect(limit.batchCommandsMax * 10).toBeLessThanOrEqual(limit.queueCommandsMax);
});

test("one sender's storm leaves half of the queue to the others", () => {
  expect(2 * limit.queueOfSenderMax).toBeLessThanOrEqual(limit.queueCommandsMax);
});

test("every ask that may be open may be waited for", () => {
  expect(limit.answersWaitingMax).toBeGreaterThanOrEqual(limit.asksOpenMax);
});

test("a failed trial falls into the window of the failures before it, so that the pause grows", () => {
  expect(limit.breakerPauseMsMax).toBeLessThan(limit.breakerWindowMs);
  expect(limit.breakerPauseMs).toBeLessThan(limit.breakerPauseMsMax);
  expect(limit.breakerFailuresMax).toBeLessThan(limit.offersMax);
});

/** Samples as large as they get: long numbers, names of 64 characters. */
function samplesBytes(pairCount: number, guardCount: number): number {
  const number = -1.234567890123456e-300;
  const names = Array.from({ length: guardCount }, (_, at) => `g${at}`.padEnd(64, "x"));
  const observation: Observation = {
    value: number,
    guards: Object.fromEntries(names.map((name) => [name, number])),
    wallMs: number,
    cpuMs: number,
    digest: "d".repeat(128),
  };
  const pairs = (count: number) =>
    Array.from({ length: count }, () => ({
      first: "candidate" as const,
      base: observation,
      candidate: observation,
    }));
  const samples: GateSamples = {
    seed: "s".repeat(128),
    pairs: pairs(pairCount),
    confirmation: pairs(limit.confirmationPairs),
    total: pairs(limit.confirmationPairs),
    workloadKey: "0".repeat(64),
    remeasure: pairs(limit.confirmationPairs),
  };
  return Buffer.byteLength(JSON.stringify(samples));
}

test("the samples of a pass fit into one report: the default pairs with every guard, the most pairs with two", () => {
  const room = limit.messageBytesMax - 65_536;
  expect(samplesBytes(limit.pairsDefault, limit.guardsMax)).toBeLessThan(room);
  expect(samplesBytes(limit.pairsMax, 2)).toBeLessThan(room);
});
