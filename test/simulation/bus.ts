import type { BusConnection } from "@questbus/bus";
import { type Principal, spaceDefault } from "@questbus/protocol";
import type { Numbers } from "../faults/numbers.ts";
import type { Scheduler } from "./scheduler.ts";

/**
 * A bus that is worse than NATS. Messages and answers are lost, repeated, reordered and delayed, also past the moment
 * at which the caller gave up, and into the life of the next orchestrator; clients are cut off for a while. It stands
 * below the product's own client and server, in place of the broker's connection.
 */
export type SimulatedBus = {
  /** A caller's connection. */
  connectionOf(role: Principal, name: string): BusConnection;
  /** The orchestrator's; nothing reaches it, and it answers nobody, once it is gone. */
  serverConnection(isAlive: () => boolean): BusConnection;
  /** From now on every message arrives, once, and soon. */
  calm(): void;
};

type Message = { subject: string; data: Uint8Array; respond(text: string): boolean };
type Callback = (error: Error | null, message: Message) => void;
type Server = { isAlive: () => boolean; callback: Callback };
/** An answer as the client reads it. */
type Reply = { subject: string; data: Uint8Array; headers?: { code: number }; string(): string };
type ReplyCallback = (error: null, message: Reply) => void;

/** How often each thing goes wrong; drawn anew for each world, so that some worlds are nearly sound and some awful. */
type Weather = { loses: number; repeats: number; delays: number; cuts: number };

const soonMsMax = 5;
const lateMsMax = 20_000;

export function openSimulatedBus(scheduler: Scheduler, numbers: Numbers): SimulatedBus {
  const rate = (): number => numbers.one([0, 0.01, 0.05, 0.2]);
  let weather: Weather = {
    loses: rate(),
    repeats: rate(),
    delays: rate(),
    cuts: numbers.one([0, 0.002, 0.01]),
  };
  let server: Server | null = null;
  const serving = new Set<() => void>();

  const delayMs = (): number =>
    numbers.chance(weather.delays) ? numbers.below(lateMsMax) : numbers.below(soonMsMax);
  /** Lets something arrive: not at all, once, or again. */
  const carry = (arrive: () => void): void => {
    if (numbers.chance(weather.loses)) return;
    scheduler.after(delayMs(), arrive);
    if (numbers.chance(weather.repeats)) scheduler.after(delayMs(), arrive);
  };

  const deliver = (subject: string, data: Uint8Array, answered: (text: string | null) => void): void => {
    const to = server;
    // What NATS says when nobody listens.
    if (!to?.isAlive()) return carry(() => answered(null));
    const respond = (text: string): boolean => {
      if (to.isAlive()) carry(() => answered(text));
      return true;
    };
    to.callback(null, { subject: imported(subject), data, respond });
  };

  const connect = (role: string, name: string, nats: object, link: Link): BusConnection =>
    ({
      url: "simulated",
      space: spaceDefault,
      role,
      name,
      nats,
      ...link,
      onReconnect: () => () => {},
      onRefused: () => {},
      closed: new Promise<void>(() => {}),
      close: async () => {},
    }) as unknown as BusConnection;

  return {
    connectionOf(role, name) {
      const link = linkOf(scheduler, () => numbers.chance(weather.cuts) && numbers.below(lateMsMax));
      let inbox: ReplyCallback = () => {};
      const nats = {
        publish(subject: string, data: Uint8Array, { reply }: { reply: string }) {
          link.use();
          if (link.isUp()) carry(() => deliver(subject, data, (text) => inbox(null, replyOf(reply, text))));
        },
        subscribe(subject: string, { callback }: { callback: ReplyCallback }) {
          if (subject.endsWith(".*")) inbox = callback;
          else serving.add(() => callback(null, replyOf(subject, "")));
        },
        isClosed: () => false,
      };
      return connect(role, name, nats, link);
    },
    serverConnection(isAlive) {
      const nats = {
        subscribe(_: string, { callback }: { callback: Callback }) {
          server = { isAlive, callback };
          return { unsubscribe() {}, drain: async () => {} };
        },
        flush: async () => {},
        publish: () => {
          for (const tell of serving) carry(tell);
        },
      };
      return connect("orchestrator", "main", nats, alwaysUp);
    },
    calm() {
      weather = { loses: 0, repeats: 0, delays: 0, cuts: 0 };
    },
  };
}

/** A role's account reaches the orchestrator's by a service import, which puts `cmd` into the subject. */
const imported = (subject: string): string => subject.replace(".", ".cmd.");

const noBytes = new Uint8Array();
const replyOf = (subject: string, text: string | null): Reply =>
  text === null
    ? { subject, data: noBytes, headers: { code: 503 }, string: () => "" }
    : { subject, data: noBytes, string: () => text };

type Link = Pick<BusConnection, "isUp" | "whenUp" | "orDown" | "onDown"> & { use(): void };

const alwaysUp: Link = {
  isUp: () => true,
  whenUp: async () => true,
  orDown: (work) => work,
  onDown: () => {},
  use: () => {},
};

/** A link that `cut` may take down for some milliseconds whenever it is used. */
function linkOf(scheduler: Scheduler, cut: () => number | false): Link {
  let upAtMs = 0;
  const listeners: (() => void)[] = [];
  const isUp = (): boolean => scheduler.nowMs >= upAtMs;
  return {
    isUp,
    async whenUp(waitMs) {
      if (!isUp()) await scheduler.pause(Math.min(waitMs, upAtMs - scheduler.nowMs));
      return isUp();
    },
    orDown: (work) => work,
    onDown: (listener) => void listeners.push(listener),
    use() {
      const forMs = isUp() && cut();
      if (forMs === false) return;
      upAtMs = scheduler.nowMs + forMs;
      scheduler.after(0, () => {
        for (const tell of listeners) tell();
      });
    },
  };
}
