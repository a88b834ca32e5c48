import { randomBytes, randomUUID } from "node:crypto";
import { errors, type Msg } from "@nats-io/transport-node";
import {
  type Answer,
  answer,
  type CommandData,
  commandData,
  commandSubject,
  type ErrorCode,
  envelope,
  errorRegistry,
  eventPage,
  eventsHeardBy,
  type Fault,
  type JournalRow,
  journalRow,
  limit,
  principal,
  QuestbusError,
  type Verb,
  wrap,
} from "@questbus/protocol";
import { type BusConnection, busUnavailable } from "./connection.ts";
import { faultsOfIssues } from "./incoming.ts";
import { openRequests, type Requests } from "./request.ts";
import { pause, systemTime, type Time } from "./time.ts";

/**
 * The caller's side of the bus: agents and the command line.
 *
 * - R1: a command keeps its id through all its tries, so that trying again never does it twice.
 * - R2: an answer means that it was committed; without one, nothing is known, and it is tried again.
 * - R3: an answer is not waited for from somebody who is gone: a connection that goes down, and an orchestrator that
 *   begins to serve, make the caller ask again at once.
 * - R4: a watcher gets each event once, in the order of arrival; `seq` is the order of commitment.
 */

export type RequestOptions = {
  /** Id of the command; a fresh one by default. The same id again gets the stored answer. */
  id?: string | undefined;
  /** How long one try waits for its answer; by default 5 s more than the command itself may wait. */
  timeoutMs?: number | undefined;
  /** How long new tries are made after the first that failed; 5 s by default, Infinity for ever. */
  retryForMs?: number | undefined;
  signal?: AbortSignal | undefined;
  traceparent?: string | undefined;
};

export type WatchOptions = {
  /** Events of this quest only. */
  quest?: string | undefined;
  /** A message that is no event; none comes from an orchestrator of the same release. */
  onInvalid?: ((faults: readonly Fault[]) => void) | undefined;
};

export type BusClient = {
  /** Sends a command and returns the data of its answer; a refusal is thrown with all its faults. */
  request<V extends Verb>(verb: V, data: CommandData[V], options?: RequestOptions): Promise<unknown>;
  /** Calls `handler` with every event committed from now on that its role may hear; the result stops it. */
  watchEvents(options: WatchOptions, handler: (row: JournalRow) => void): Promise<() => void>;
};

export type ClientInputs = { time?: Time; newId?: () => string };

const backoffMs = { first: 50, max: 500 } as const;
/** Rows that a watcher remembers, to drop those that arrive again. */
const recentRowsMax = 4_096;

/** Random bytes drawn ahead: each draw is a call of the system. */
let drawn = Buffer.alloc(0);
let drawnAt = 0;

function newTraceparent(): string {
  if (drawnAt === drawn.length) [drawn, drawnAt] = [randomBytes(128 * 24), 0];
  const text = drawn.toString("hex", drawnAt, drawnAt + 24);
  drawnAt += 24;
  return `00-${text.slice(0, 32)}-${text.slice(32)}-01`;
}

/** What the broker itself says about a failed try: null means that trying again may help. */
function finalFault(error: unknown, who: string, verb: Verb): QuestbusError | null {
  if (error instanceof errors.PermissionViolationError) {
    return new QuestbusError({
      code: "ROLE_FORBIDDEN",
      message: `the credential of ${who} does not allow the command ${verb}`,
      next: "use the credential of a role that may send it",
    });
  }
  // OVERLOADED is this client's own word here: it has too many requests open.
  if (error instanceof QuestbusError && (!error.retryable || error.code === "OVERLOADED")) return error;
  return null;
}

const knownFault = (fault: Extract<Answer, { ok: false }>["faults"][number]): Fault =>
  fault.code in errorRegistry
    ? { ...fault, code: fault.code as ErrorCode }
    : { ...fault, code: "INTERNAL", message: `${fault.code}: ${fault.message}` };

function readAnswer(text: string): Answer {
  try {
    return answer.parse(JSON.parse(text));
  } catch {
    throw new QuestbusError({
      code: "INTERNAL",
      message: "the answer cannot be read",
      next: "check that all parts of the stack are of the same release",
    });
  }
}

function dataOf(given: Answer): unknown {
  if (given.ok) return given.data;
  const [first, ...rest] = given.faults.map(knownFault);
  throw new QuestbusError(first as Fault, ...rest);
}

function checked<V extends Verb>(verb: V, data: CommandData[V]): CommandData[V] {
  const result = commandData[verb].safeParse(data);
  if (result.success) return result.data as CommandData[V];
  const [first, ...rest] = faultsOfIssues(result.error.issues, ["data"]);
  throw new QuestbusError(first as Fault, ...rest);
}

function encoded(message: unknown): Uint8Array {
  const bytes = Buffer.from(JSON.stringify(message));
  if (bytes.length <= limit.messageBytesMax) return bytes;
  throw new QuestbusError({
    code: "MESSAGE_TOO_LARGE",
    message: `the message has ${bytes.length} bytes; at most ${limit.messageBytesMax} are taken`,
    next: "send less: store large output as an artifact and name it",
  });
}

const whyOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** Races `work` against the signal; throws the signal's reason. */
async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return work;
  work.catch(() => {});
  signal.throwIfAborted();
  const { promise, reject } = Promise.withResolvers<never>();
  const abort = (): void => reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

type Try = { subject: string; payload: Uint8Array; timeoutMs: number; retryForMs: number; verb: Verb };

async function untilAnswered(
  connection: BusConnection,
  requests: Requests,
  time: Time,
  { subject, payload, timeoutMs, retryForMs, verb }: Try,
  signal: AbortSignal | undefined,
): Promise<Answer> {
  let untilMs: number | null = null;
  for (let waitMs: number = backoffMs.first; ; waitMs = Math.min(2 * waitMs, backoffMs.max)) {
    try {
      return readAnswer((await requests.send(subject, payload, timeoutMs, signal)).string());
    } catch (error) {
      signal?.throwIfAborted();
      const final = finalFault(error, `${connection.role}/${connection.name}`, verb);
      if (final) throw final;
      const nowMs = time.steadyMs();
      untilMs ??= nowMs + retryForMs;
      if (nowMs + waitMs > untilMs || connection.nats.isClosed()) {
        throw busUnavailable(`the command ${verb} was not answered: ${whyOf(error)}`, connection.url);
      }
    }
    await pause(time, waitMs, signal);
    signal?.throwIfAborted();
    await unlessAborted(connection.whenUp(untilMs - time.steadyMs()), signal);
  }
}

/** A client that speaks as the connection's role and name. */
export function createClient(connection: BusConnection, inputs: ClientInputs = {}): BusClient {
  const { time = systemTime, newId = randomUUID } = inputs;
  const { nats, space, name } = connection;
  const requests = openRequests(connection, time);
  return {
    async request(verb, data, options = {}) {
      const role = principal.safeParse(connection.role).data;
      if (!role) throw new TypeError(`${connection.role} sends no commands`);
      const { id = newId(), traceparent = newTraceparent(), signal } = options;
      const valid = checked(verb, data);
      const source = `questbus/${space}/${role}/${name}`;
      const message = wrap(`command.${verb}`, { id, source, timeMs: time.nowMs(), traceparent }, valid);
      const ownWaitMs = "waitMs" in valid ? valid.waitMs : 0;
      const { timeoutMs = limit.answerTimeoutMs + ownWaitMs, retryForMs = limit.answerTimeoutMs } = options;
      const subject = commandSubject(space, { role, name }, verb);
      const payload = encoded(message);
      const wanted: Try = { subject, payload, timeoutMs, retryForMs, verb };
      return dataOf(await untilAnswered(connection, requests, time, wanted, signal));
    },

    async watchEvents({ quest, onInvalid }, handler) {
      const recent = new Set<string>();
      const callback = (error: Error | null, message: Msg): void => {
        if (error) return onInvalid?.([{ code: "INTERNAL", message: error.message }]);
        const { rows, faults } = readEvents(message.data);
        for (const row of rows) {
          if (recent.has(row.id)) continue;
          recent.add(row.id);
          if (recent.size > recentRowsMax) recent.delete(recent.values().next().value as string);
          handler(row);
        }
        if (faults.length > 0) onInvalid?.(faults);
      };
      const subscriptions = eventsHeardBy(connection.role, space, quest).map((subject) =>
        nats.subscribe(subject, { callback }),
      );
      const stop = (): void => {
        for (const subscription of subscriptions) subscription.unsubscribe();
      };
      try {
        await connection.orDown(nats.flush());
      } catch (error) {
        stop();
        throw error;
      }
      return stop;
    },
  };
}

/** The journal rows that an event's message carries, and what is wrong with it. */
function readEvents(bytes: Uint8Array): { rows: JournalRow[]; faults: Fault[] } {
  try {
    const head = envelope.safeParse(JSON.parse(new TextDecoder().decode(bytes)));
    if (!head.success) return { rows: [], faults: faultsOfIssues(head.error.issues) };
    const { type, data } = head.data;
    const given = type === pageType ? (data as { rows: unknown[] }).rows : [data];
    const read = given.map((each) => journalRow.safeParse(each));
    return {
      rows: read.flatMap((each) => (each.success ? [each.data] : [])),
      faults: read.flatMap((each) => (each.success ? [] : faultsOfIssues(each.error.issues, ["data"]))),
    };
  } catch (error) {
    const message = `not JSON: ${(error as Error).message}`;
    return { rows: [], faults: [{ code: "MESSAGE_INVALID", message, where: "message" }] };
  }
}

const pageType = `questbus.event.${eventPage}.v1`;
