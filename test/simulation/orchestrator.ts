import { serveCommands } from "@questbus/bus";
import { type Random, startOrchestrator } from "@questbus/orchestrator";
import { armCrashPoints, type CrashPoint, crashPoints, QuestbusError } from "@questbus/protocol";
import type { Store } from "@questbus/store";
import { pino } from "pino";
import type { Numbers } from "../faults/numbers.ts";
import type { SimulatedBus } from "./bus.ts";
import type { Scheduler } from "./scheduler.ts";
import type { SimulatedStream } from "./stream.ts";

/**
 * The product's orchestrator in the simulated world. It is killed at crash points and in between, and started anew on
 * the store as its last commit left it; whatever the dead one still does reaches nobody.
 */
export type SimulatedOrchestrator = {
  readonly crashes: number;
  /** What it threw that was no crash of ours. */
  readonly errors: unknown[];
  calm(): void;
};

/** Ends the simulated process: nothing after the crash point happens. */
class Crash extends Error {}

type Parts = {
  scheduler: Scheduler;
  numbers: Numbers;
  bus: SimulatedBus;
  stream: SimulatedStream;
  store: Store;
};

const log = pino({ level: "silent" });
const deadMsMax = 4_000;
const alphabet = "23456789abcdefghjkmnpqrstvwxyz12";
const points = crashPoints.orchestrator;

export function openSimulatedOrchestrator(parts: Parts): SimulatedOrchestrator {
  const { scheduler, numbers } = parts;
  const errors: unknown[] = [];
  /** Calls of crash points until the next crash; 0: none. */
  const span = numbers.one([0, 20, 100, 500]);
  const fullDisk = numbers.one([0, 0, 0.02]);
  let life = 0;
  let crashes = 0;
  let stormy = true;
  const random: Random = {
    id: (prefix) => prefix + Array.from({ length: 8 }, () => alphabet[numbers.below(32)]).join(""),
    seed: () => numbers.hex(32),
  };

  const begin = async (): Promise<void> => {
    life += 1;
    const own = life;
    const isAlive = (): boolean => life === own;
    let left = span > 0 && stormy ? 1 + numbers.below(span) : Number.POSITIVE_INFINITY;
    const wanted: CrashPoint = numbers.one(points);
    armCrashPoints((point) => {
      left -= 1;
      if (isAlive() && (left > 0 || (point !== wanted && left > -50))) return;
      die(own);
      throw new Crash(point);
    });
    const server = parts.bus.serverConnection(isAlive);
    await startOrchestrator({
      store: mortal(parts.store, isAlive, () => stormy && numbers.chance(fullDisk)),
      stream: parts.stream.streamOf(isAlive),
      log,
      time: scheduler.timeOf(isAlive),
      random,
      serve: (handlers) => serveCommands(server, handlers),
    });
  };

  const die = (own: number): void => {
    if (life !== own) return;
    life += 1;
    crashes += 1;
    scheduler.after(numbers.below(deadMsMax), start);
  };
  /** One that cannot start ends, and is started again, as the stack does it. */
  const start = (): void => {
    const own = life + 1;
    begin().catch((error: unknown) => {
      if (!(error instanceof Crash) && !(error instanceof QuestbusError)) errors.push(error);
      die(own);
    });
  };
  start();
  return {
    get crashes() {
      return crashes;
    },
    errors,
    calm() {
      stormy = false;
      armCrashPoints(null);
    },
  };
}

export const isCrash = (error: unknown): boolean => error instanceof Crash;

const diskFull = (): QuestbusError =>
  new QuestbusError({ code: "DISK_FULL", message: "the simulated disk is full", next: "wait" });

/** The store as a process sees it that can die, on a disk that can be full: a dead one writes nothing. */
function mortal(store: Store, isAlive: () => boolean, isFull: () => boolean): Store {
  return {
    ...store,
    transact(action) {
      if (!isAlive()) throw new Crash("dead");
      return store.transact((tx) => {
        const found = action(tx);
        if (isFull()) throw diskFull();
        return found;
      });
    },
  };
}
