import { expect, test } from "vitest";
import type { BusConnection } from "../src/connection.ts";
import { openRequests, type Requests } from "../src/request.ts";

/** A clock that goes as far as it is told, and the timers that are set on it. */
function clock() {
  const timers = new Map<object, { atMs: number; work: () => void }>();
  let nowMs = 0;
  let looks = 0;
  const dueBy = (untilMs: number) =>
    [...timers]
      .filter(([, { atMs }]) => atMs <= untilMs)
      .sort(([, a], [, b]) => a.atMs - b.atMs)
      .at(0);
  return {
    time: {
      nowMs: () => nowMs,
      steadyMs: () => nowMs,
      soon: (work: () => void) => work(),
      after(ms: number, work: () => void) {
        const key = {};
        timers.set(key, { atMs: nowMs + ms, work });
        return () => void timers.delete(key);
      },
    },
    /** Resolves when what is due by then has run. */
    async go(ms: number): Promise<void> {
      const untilMs = nowMs + ms;
      for (let due = dueBy(untilMs); due; due = dueBy(untilMs)) {
        timers.delete(due[0]);
        nowMs = due[1].atMs;
        looks += 1;
        due[1].work();
        await Promise.resolve();
      }
      nowMs = untilMs;
    },
    looks: () => looks,
    timers: () => timers.size,
  };
}

function opened() {
  const { time, ...rest } = clock();
  type Callback = (error: null, message: object) => void;
  let answer: Callback = () => {};
  const replies: string[] = [];
  const nats = {
    subscribe(subject: string, { callback }: { callback: Callback }) {
      if (subject.endsWith(".*")) answer = callback;
    },
    publish: (_: string, __: Uint8Array, { reply }: { reply: string }) => void replies.push(reply),
  };
  const connection = { nats, isUp: () => true, onDown() {}, onRefused() {}, role: "qa", name: "qa1" };
  const requests: Requests = openRequests(connection as unknown as BusConnection, time);
  const ended: string[] = [];
  const send = (timeoutMs: number, signal?: AbortSignal): void => {
    const at = ended.push("open") - 1;
    requests.send("subject", new Uint8Array(), timeoutMs, signal).then(
      () => (ended[at] = "answered"),
      () => (ended[at] = `late at ${time.steadyMs()}`),
    );
  };
  const reply = (at: number): void => answer(null, { subject: replies[at], data: new Uint8Array(1) });
  return { ...rest, send, reply, ended };
}

test("Q1: a try ends when its time is over, and nobody looks before the first of them", async () => {
  const { send, go, ended, looks, timers } = opened();
  send(30_000);
  send(5_000);
  await go(4_999);
  expect([ended, looks()]).toEqual([["open", "open"], 0]);
  await go(2);
  expect(ended).toEqual(["open", "late at 5000"]);
  await go(25_000);
  expect([ended, looks(), timers()]).toEqual([["late at 30000", "late at 5000"], 2, 0]);
});

test("looks come 100 ms apart at least, however many tries end", async () => {
  const { send, go, ended, looks } = opened();
  for (let ms = 1_000; ms < 1_200; ms += 1) send(ms);
  await go(1_400);
  expect(looks()).toBeLessThanOrEqual(4);
  for (const [at, each] of ended.entries()) {
    const lateMs = Number(each.split(" ").at(-1)) - (1_000 + at);
    expect(lateMs).toBeGreaterThanOrEqual(0);
    expect(lateMs).toBeLessThanOrEqual(100);
  }
});

test("no timer is left when the last try was answered or aborted: the process may end", async () => {
  const { send, reply, timers, ended } = opened();
  const stop = new AbortController();
  send(5_000);
  send(5_000, stop.signal);
  reply(0);
  expect(timers()).toBe(1);
  stop.abort();
  expect(timers()).toBe(0);
  await new Promise(setImmediate);
  expect(ended).toEqual(["answered", "late at 0"]);
});
