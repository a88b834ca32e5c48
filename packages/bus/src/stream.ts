import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import {
  DiscardPolicy,
  JetStreamApiError,
  type JetStreamClient,
  type JetStreamManager,
  jetstream,
  jetstreamManager,
  RetentionPolicy,
  StorageType,
  type StreamConfig,
} from "@nats-io/jetstream";
import { nanos } from "@nats-io/transport-node";
import {
  deadAll,
  deadSubject,
  eventPage,
  eventSubject,
  eventsAll,
  type JournalEvent,
  QuestbusError,
  wrap,
} from "@questbus/protocol";
import { type BusConnection, busUnavailable } from "./connection.ts";
import type { DeadMessage } from "./incoming.ts";

/**
 * The journal stream: the journal's rows as everybody else reads them. And the stream of dead letters.
 *
 * - J1: rows enter the stream in the order of `seq`, without waiting for each other: each names the one that must
 *   stand before it, so that after a loss on the way those behind it are refused, and all are sent again.
 * - J2: a row that is sent again within the dedupe window is stored once (`Nats-Msg-Id` is the row's id and hash: after a
 *   restore to an earlier moment other rows get ids that were used); of rows outside of quests, which come in pages, those
 *   pages are that are the same.
 * - J3: the streams are no record. When they are gone they are made anew, and hold what comes from then on.
 */
export type JournalStream = {
  /** Publishes rows in order; resolves when the stream holds them all, rejects with BUS_UNAVAILABLE. */
  publish(rows: readonly JournalEvent[], options?: { retryForMs?: number }): Promise<void>;
  publishDead(dead: DeadMessage & { timeMs: number }): Promise<void>;
};

const pipelineRowsMax = 256;
const ackMsMax = 5_000;
const retryForMsDefault = 5_000;
const backoffMs = { first: 50, max: 500 } as const;
/** Codes of the JetStream API. */
const streamExists = 10058;
const wrongLastSequence = 10071;

/** True when a message was not stored because another stands where it was to follow. */
export const isOutrun = (error: unknown): boolean =>
  error instanceof JetStreamApiError && error.code === wrongLastSequence;

const streamNames = (space: string) => ({
  journal: `JOURNAL_${space.toUpperCase()}`,
  dead: `DEAD_${space.toUpperCase()}`,
});

type Wanted = Partial<StreamConfig> & { name: string };

const common = {
  retention: RetentionPolicy.Limits,
  storage: StorageType.File,
  discard: DiscardPolicy.Old,
};

function wanted(space: string, replicas: number): Wanted[] {
  const names = streamNames(space);
  const kept = { duplicate_window: nanos(120_000), num_replicas: replicas };
  return [
    { ...kept, name: names.journal, subjects: [eventsAll(space)], max_bytes: 1024 ** 3 },
    { ...kept, name: names.dead, subjects: [deadAll(space)], max_bytes: 64 * 1024 ** 2 },
  ];
}

/** Characters of one page, so that it fits a message in any script. */
const pageCharsMax = 262_144;

const encoder = new TextEncoder();
const encode = (message: unknown): Uint8Array => encoder.encode(JSON.stringify(message));

/** The message of an event whose data is JSON already. */
function encodeEvent(type: string, head: Parameters<typeof wrap>[1], json: string): Uint8Array {
  const text = JSON.stringify(wrap(`event.${type}`, head, 0));
  return encoder.encode(`${text.slice(0, -"0}".length)}${json}}`);
}

/** Makes the stream, or gives the one that is there these settings. */
export async function ensureStream(
  connection: BusConnection,
  jsm: JetStreamManager,
  given: Wanted,
): Promise<void> {
  const config = { ...common, ...given };
  await connection.orDown(
    jsm.streams.add(config).catch((error) => {
      if (error instanceof JetStreamApiError && error.code === streamExists) {
        return jsm.streams.update(config.name, config);
      }
      throw error;
    }),
  );
}

const sourceOf = ({ space }: BusConnection): string => `questbus/${space}/orchestrator`;

/** One message of the stream: a row, or a page of rows that belong to no quest. `id`: what the stream drops repetitions by. */
type Piece = { id: string; subject: string; message: Uint8Array; rows: number };

/**
 * What is asked outside of quests comes by the ten thousand a second, and a publish costs the client 20 us: such rows,
 * where they follow each other, travel together. Their readers drop what they saw before by the row's own id, because a
 * page that is sent again after a crash may end elsewhere.
 */
function piecesOf(connection: BusConnection, rows: readonly JournalEvent[]): Piece[] {
  const pieces: Piece[] = [];
  let page: { first: JournalEvent; last: JournalEvent; texts: string[]; chars: number } | null = null;
  const source = sourceOf(connection);
  const endPage = (): void => {
    if (!page) return;
    const { first, last, texts } = page;
    const isAlone = texts.length === 1;
    const eventId = isAlone ? first.id : `${first.id}..${last.seq}`;
    const type = isAlone ? first.type : eventPage;
    const json = isAlone ? texts.join() : `{"rows":[${texts.join(",")}]}`;
    const message = encodeEvent(type, { id: eventId, source, timeMs: first.timeMs }, json);
    const subject = eventSubject(connection.space, null, type);
    pieces.push({ id: `${eventId}-${last.hash}`, subject, message, rows: texts.length });
    page = null;
  };
  for (const row of rows) {
    const text = JSON.stringify(row);
    if (row.quest !== null) {
      endPage();
      const { id, quest, timeMs, type } = row;
      const message = encodeEvent(type, { id, source, timeMs, subject: quest }, text);
      const subject = eventSubject(connection.space, quest, type);
      pieces.push({ id: `${id}-${row.hash}`, subject, message, rows: 1 });
      continue;
    }
    if (page && page.chars + text.length > pageCharsMax) endPage();
    page ??= { first: row, last: row, texts: [], chars: 0 };
    page.texts.push(text);
    page.last = row;
    page.chars += text.length;
  }
  endPage();
  return pieces;
}

/** Sends rows without waiting in between; returns how many of the first ones are stored, and why it stopped. */
async function sendRows(
  connection: BusConnection,
  js: JetStreamClient,
  rows: readonly JournalEvent[],
): Promise<{ stored: number; error: unknown }> {
  const pieces = piecesOf(connection, rows);
  const sent = pieces.map(({ id, subject, message }, at) => {
    const before = pieces[at - 1];
    const work = js.publish(subject, message, {
      msgID: id,
      ...(before ? { expect: { lastMsgID: before.id } } : {}),
    });
    return connection.orDown(work);
  });
  const outcomes = await Promise.allSettled(sent);
  const failed = outcomes.findIndex((each) => each.status === "rejected");
  const outcome = outcomes[failed];
  if (outcome?.status !== "rejected") return { stored: rows.length, error: null };
  const stored = pieces.slice(0, failed).reduce((sum, piece) => sum + piece.rows, 0);
  return { stored, error: outcome.reason };
}

/** What went wrong, or null. */
const errorOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => null,
    (error: unknown) => error,
  );

/** Ensures both streams and publishes to them; only the orchestrator's account can. */
export async function openJournalStream(
  connection: BusConnection,
  { replicas = 1, readyForMs = retryForMsDefault }: { replicas?: number; readyForMs?: number } = {},
): Promise<JournalStream> {
  const { nats, space } = connection;
  const js = jetstream(nats, { timeout: ackMsMax });
  const jsm = await jetstreamManager(nats, { checkAPI: false, timeout: ackMsMax });
  const ensure = async (): Promise<void> => {
    for (const config of wanted(space, replicas)) await ensureStream(connection, jsm, config);
  };

  /** Repeats `step` until it says that all is done. */
  const insist = async (retryForMs: number, step: () => Promise<unknown>): Promise<void> => {
    const untilMs = performance.now() + retryForMs;
    for (let waitMs: number = backoffMs.first; ; waitMs = Math.min(2 * waitMs, backoffMs.max)) {
      const error = await step();
      if (error === null) return;
      if (performance.now() + waitMs > untilMs) {
        const why = error instanceof Error ? error.message : String(error);
        throw error instanceof QuestbusError
          ? error
          : busUnavailable(`the journal stream takes no rows: ${why}`, connection.url);
      }
      await delay(waitMs);
      await connection.whenUp(untilMs - performance.now());
      await ensure().catch(() => {});
    }
  };

  await insist(readyForMs, () => errorOf(ensure()));

  return {
    async publish(rows, { retryForMs = retryForMsDefault } = {}) {
      let done = 0;
      await insist(retryForMs, async () => {
        while (done < rows.length) {
          const { stored, error } = await sendRows(connection, js, rows.slice(done, done + pipelineRowsMax));
          done += stored;
          if (error !== null) return error;
        }
        return null;
      });
    },
    async publishDead(dead) {
      const id = randomUUID();
      const message = encode(
        wrap("dead.message", { id, source: sourceOf(connection), timeMs: dead.timeMs }, dead),
      );
      const subject = deadSubject(space, dead.code);
      await insist(retryForMsDefault, () =>
        errorOf(connection.orDown(js.publish(subject, message, { msgID: id }))),
      );
    },
  };
}
