import type { Time } from "@questbus/bus";

/**
 * Simulated time: what is due runs in the order of its time, each to the end of its promises before the next. Nothing
 * waits in earnest, so that an hour takes milliseconds.
 */
export type Scheduler = {
  readonly nowMs: number;
  /** Runs `work` after `ms`; the result takes that back. */
  after(ms: number, work: () => void): () => void;
  pause(ms: number): Promise<void>;
  /** The clock of a process: what it has planned is dropped once it is gone. */
  timeOf(isAlive: () => boolean): Time;
  /** Runs until `isOver`, or nothing is left, or `untilMs` has come; or it has not after more than any world takes. */
  run(isOver: () => boolean, untilMs: number): Promise<void>;
};

type Due = { atMs: number; turn: number; work: (() => void) | null };

/** The first day of the simulated world. */
const epochMs = 1_800_000_000_000;

/** `onError` gets what `work` throws. */
export function openScheduler(onError: (error: unknown) => void): Scheduler {
  const heap = new Heap();
  let nowMs = 0;
  let turn = 0;
  const after = (ms: number, work: () => void): (() => void) => {
    turn += 1;
    const due: Due = { atMs: nowMs + Math.max(0, ms), turn, work };
    heap.push(due);
    return () => {
      due.work = null;
    };
  };
  return {
    get nowMs() {
      return nowMs;
    },
    after,
    pause: (ms) => new Promise((done) => after(ms, done)),
    timeOf: (isAlive) => ({
      nowMs: () => epochMs + Math.floor(nowMs),
      steadyMs: () => nowMs,
      soon: (work) => void after(0, () => isAlive() && work()),
      after: (ms, work) => after(ms, () => isAlive() && work()),
    }),
    run(isOver, untilMs) {
      let steps = 0;
      /** False: it is over. */
      const step = (): boolean => {
        steps += 1;
        if (steps > stepsMax || isOver()) return false;
        let due = heap.pop();
        while (due && !due.work) due = heap.pop();
        if (!due || due.atMs > untilMs) return false;
        nowMs = due.atMs;
        try {
          due.work?.();
        } catch (error) {
          onError(error);
        }
        return true;
      };
      return eachSettled(step);
    },
  };
}

/** A world takes some thousands. One that takes a million waits for nothing between two things that it does. */
const stepsMax = 1_000_000;

/** A turn of the event loop looks for input, too, which is most of what it costs. */
const stepsATurn = 256;

/** Calls `step`, now and again until it gives false; between two calls every promise settles that can: so it is between two immediates. */
function eachSettled(step: () => boolean): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let goesOn = true;
  const once = (): void => {
    if (!goesOn) return;
    try {
      goesOn = step();
    } catch (error) {
      goesOn = false;
      reject(error);
    }
  };
  const turn = (): void => {
    if (!goesOn) return resolve();
    for (let at = 0; at < stepsATurn; at += 1) setImmediate(once);
    setImmediate(turn);
  };
  once();
  turn();
  return promise;
}

/** What is due first is on top; of what is due at once, what was planned first. */
class Heap {
  readonly #list: Due[] = [];

  push(due: Due): void {
    const list = this.#list;
    let at = list.push(due) - 1;
    while (at > 0) {
      const up = (at - 1) >> 1;
      if (!isBefore(due, list[up] as Due)) break;
      list[at] = list[up] as Due;
      at = up;
    }
    list[at] = due;
  }

  pop(): Due | undefined {
    const list = this.#list;
    const top = list[0];
    const last = list.pop();
    if (!top || !last || list.length === 0) return top;
    let at = 0;
    for (;;) {
      let down = 2 * at + 1;
      if (down >= list.length) break;
      if (down + 1 < list.length && isBefore(list[down + 1] as Due, list[down] as Due)) down += 1;
      if (!isBefore(list[down] as Due, last)) break;
      list[at] = list[down] as Due;
      at = down;
    }
    list[at] = last;
    return top;
  }
}

const isBefore = (a: Due, b: Due): boolean => a.atMs < b.atMs || (a.atMs === b.atMs && a.turn < b.turn);
