import { Buffer } from "node:buffer";
import { DeliverPolicy, jetstream, jetstreamManager, type OrderedConsumerOptions } from "@nats-io/jetstream";
import { headers, nanos } from "@nats-io/transport-node";
import { type Batch, batch, batchSubject, limit, QuestbusError } from "@questbus/protocol";
import { type BusConnection, busUnavailable } from "./connection.ts";
import { ensureStream, isOutrun } from "./stream.ts";

/**
 * The batch stream: what a cluster's leader committed, in order, for its standbys. It is the commit point of a cluster:
 * nobody is answered before it holds the batch.
 *
 * - T1: a batch is appended only behind the message that its writer saw last: the broker compares. Of two leaders one gets
 *   its batch in, and the other one is fenced, whatever their clocks say.
 * - T2: a batch is whole or not there: the parts of one that was not finished are followed by another one, and dropped.
 * - T3: a batch that is sent again, because its acknowledgement was lost, is stored once.
 *
 * Not the journal stream: there each row goes by its own subject to who watches its quest, and a reader that stops between
 * two rows of one command would go on from a state that never was.
 */
export type BatchStream = {
  /**
   * Appends behind `position`; gives the new position.
   * @throws Fenced when something else stands there; QuestbusError BUS_UNAVAILABLE when nothing is known: send it again
   */
  append(what: Batch, position: number): Promise<number>;
  /** Position of the first and the last message that it holds; both are 0 while it is empty. */
  ends(): Promise<{ first: number; last: number }>;
  /** Reads what stands behind `position`, and then what comes; the result ends it. */
  read(position: number, handlers: BatchReader): Promise<() => Promise<void>>;
};

export type BatchReader = {
  /** A message was read; `what` is the batch that it completes, and null when it completes none. */
  onMessage(what: Batch | null, position: number): void;
  /** It reads no more: by a message that is no batch, by what `onMessage` threw, or because the stream is gone. */
  onBroken(error: unknown): void;
};

/** Another leader has written since. */
export class Fenced extends Error {}

const partHeader = "Questbus-Part";
const ackMsMax = 1_000;
const apiMsMax = 5_000;
/** A reader whose consumer is gone with its broker notices within two of these. */
const heartbeatMs = 500;

/** A batch as messages that the bus takes. */
export function partsOf(bytes: Uint8Array, sizeMax: number = limit.batchBytesMax): Uint8Array[] {
  const count = Math.max(1, Math.ceil(bytes.length / sizeMax));
  return Array.from({ length: count }, (_, at) => bytes.subarray(at * sizeMax, (at + 1) * sizeMax));
}

/** Puts parts together again: gives the whole when its last part came, and forgets what was left unfinished. */
export function openJoin(): (part: string, bytes: Uint8Array) => Uint8Array | null {
  let parts: Uint8Array[] = [];
  return (part, bytes) => {
    const [at = 0, of = 0] = part.split("/").map(Number);
    if (at === 1) parts = [];
    if (parts.length !== at - 1) return null;
    parts.push(bytes);
    if (at < of) return null;
    const whole = Buffer.concat(parts);
    parts = [];
    return whole;
  };
}

export async function openBatchStream(
  connection: BusConnection,
  { replicas }: { replicas: number },
): Promise<BatchStream> {
  const { nats, space, url } = connection;
  const name = `BATCH_${space.toUpperCase()}`;
  const subject = batchSubject(space);
  const js = jetstream(nats, { timeout: ackMsMax });
  const jsm = await jetstreamManager(nats, { checkAPI: false, timeout: apiMsMax });
  await ensureStream(connection, jsm, {
    name,
    subjects: [subject],
    max_bytes: 1024 ** 3,
    duplicate_window: nanos(120_000),
    num_replicas: replicas,
  });

  const send = async (bytes: Uint8Array, part: string, id: string, position: number): Promise<number> => {
    const head = headers();
    head.set(partHeader, part);
    try {
      const work = js.publish(subject, bytes, {
        msgID: id,
        headers: head,
        expect: { lastSequence: position, streamName: name },
      });
      return (await connection.orDown(work)).seq;
    } catch (error) {
      if (isOutrun(error)) {
        const stands = await connection.orDown(jsm.streams.getMessage(name, { seq: position + 1 }));
        // Ours, sent before: a single broker compares the place before it looks for repetitions.
        if (stands?.header.get("Nats-Msg-Id") === id) return position + 1;
        throw new Fenced(`${(error as Error).message}, and this node has ${position}`);
      }
      if (error instanceof QuestbusError) throw error;
      throw busUnavailable(`the batch stream takes nothing: ${(error as Error).message}`, url);
    }
  };

  return {
    async append(what, position) {
      const parts = partsOf(Buffer.from(JSON.stringify(what)));
      const id = `${what.node}-${what.epoch}-${position}`;
      let at = position;
      for (const [index, bytes] of parts.entries())
        at = await send(bytes, `${index + 1}/${parts.length}`, `${id}-${index}`, at);
      return at;
    },
    async ends() {
      const { state, cluster } = await connection.orDown(jsm.streams.info(name));
      // Without a leader the figures are those of a node that may not know all yet.
      if (replicas > 1 && !cluster?.leader) throw busUnavailable("the batch stream has no leader yet", url);
      return { first: state.messages === 0 ? 0 : state.first_seq, last: state.last_seq };
    },
    async read(position, { onMessage, onBroken }) {
      const options: Partial<OrderedConsumerOptions> = {
        deliver_policy: DeliverPolicy.StartSequence,
        opt_start_seq: position + 1,
      };
      const consumer = await js.consumers.get(name, options);
      const messages = await consumer.consume({ expires: 2 * heartbeatMs, idle_heartbeat: heartbeatMs });
      const join = openJoin();
      let stopped = false;
      const done = (async () => {
        for await (const message of messages) {
          const whole = join(message.headers?.get(partHeader) ?? "1/1", message.data);
          onMessage(whole && batch.parse(JSON.parse(Buffer.from(whole).toString())), message.seq);
        }
        if (!stopped) throw busUnavailable("the batch stream cannot be read any more", url);
      })().catch(onBroken);
      return async () => {
        stopped = true;
        messages.stop();
        await done;
      };
    },
  };
}
