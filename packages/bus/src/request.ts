import type { Msg } from "@nats-io/transport-node";
import { limit, QuestbusError } from "@questbus/protocol";
import { inboxPrefixOf, servingSubject } from "./account.ts";
import { type BusConnection, busUnavailable } from "./connection.ts";
import type { Time } from "./time.ts";

/**
 * Requests over one subscription: an answer is found by the last token of its subject. The client library's own
 * `request` makes an error with its stack, a timer and four promises for each, which cost more than all the rest.
 *
 * - Q1: a try ends with its answer, its time, the connection's end, or the word that an orchestrator began to serve.
 * - Q2: what ended is forgotten: an answer that comes later goes nowhere.
 * - Q3: what is pending is bounded; beyond that a try is refused, and nothing is sent.
 */
export type Requests = {
  send(subject: string, payload: Uint8Array, timeoutMs: number, signal?: AbortSignal): Promise<Msg>;
};

type Pending = {
  subject: string;
  dueMs: number;
  resolve(message: Msg): void;
  reject(error: unknown): void;
};

const tooManyPending = (): QuestbusError =>
  new QuestbusError({
    code: "OVERLOADED",
    message: `${limit.requestsPendingMax} requests of this client wait for their answers`,
    next: "wait for some of them before you send more",
  });

/** What is due within this time of another look is found by the next one. */
const lookEveryMs = 100;
const noResponders = 503;

export function openRequests(connection: BusConnection, time: Time): Requests {
  const { nats, role, name, space, url } = connection;
  const inbox = `${inboxPrefixOf(role, name)}.${crypto.randomUUID()}`;
  const pending = new Map<string, Pending>();
  let last = 0;
  /** The next look at tries whose time may be over: not after the first of them. */
  let next: { atMs: number; cancel(): void } | null = null;

  const lookAt = (atMs: number): void => {
    next?.cancel();
    next = { atMs, cancel: time.after(Math.ceil(atMs - time.steadyMs()), look) };
  };
  /** Nothing is due any more: a timer would keep the process from its end. */
  const forget = (token: string): void => {
    pending.delete(token);
    if (pending.size > 0) return;
    next?.cancel();
    next = null;
  };
  const rejectAll = (error: () => unknown, of: (each: Pending) => boolean = () => true): void => {
    for (const [token, each] of pending) {
      if (!of(each)) continue;
      forget(token);
      each.reject(error());
    }
  };
  const look = (): void => {
    next = null;
    const nowMs = time.steadyMs();
    rejectAll(
      () => new Error("no answer came in time"),
      ({ dueMs }) => dueMs <= nowMs,
    );
    let firstMs = Number.POSITIVE_INFINITY;
    for (const { dueMs } of pending.values()) firstMs = Math.min(firstMs, dueMs);
    if (pending.size > 0) lookAt(Math.max(firstMs, nowMs + lookEveryMs));
  };

  nats.subscribe(`${inbox}.*`, {
    callback: (error, message) => {
      if (error) return;
      const token = message.subject.slice(inbox.length + 1);
      const found = pending.get(token);
      if (!found) return;
      forget(token);
      const isNobody = message.data.length === 0 && message.headers?.code === noResponders;
      if (isNobody) found.reject(new Error("no orchestrator listens"));
      else found.resolve(message);
    },
  });
  nats.subscribe(servingSubject(space), {
    callback: (error) => {
      if (!error) rejectAll(() => busUnavailable("the orchestrator was started anew", url));
    },
  });
  connection.onDown(() => rejectAll(() => busUnavailable("the connection to the broker was lost", url)));
  connection.onRefused((refused) =>
    rejectAll(
      () => refused,
      ({ subject }) => subject === refused.subject,
    ),
  );

  return {
    send(subject, payload, timeoutMs, signal) {
      if (pending.size >= limit.requestsPendingMax) return Promise.reject(tooManyPending());
      if (!connection.isUp()) return Promise.reject(busUnavailable("the broker cannot be reached", url));
      const { promise, resolve, reject } = Promise.withResolvers<Msg>();
      last += 1;
      const token = String(last);
      const dueMs = time.steadyMs() + timeoutMs;
      pending.set(token, { subject, dueMs, resolve, reject });
      if (!next || next.atMs > dueMs + lookEveryMs) lookAt(dueMs);
      try {
        nats.publish(subject, payload, { reply: `${inbox}.${token}` });
      } catch (error) {
        forget(token);
        reject(error);
      }
      if (!signal) return promise;
      const abort = (): void => {
        forget(token);
        reject(signal.reason);
      };
      signal.addEventListener("abort", abort, { once: true });
      return promise.finally(() => signal.removeEventListener("abort", abort));
    },
  };
}
