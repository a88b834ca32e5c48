import { randomUUID } from "node:crypto";
import { jetstream, jetstreamManager, type StreamConfig } from "@nats-io/jetstream";
import { limit } from "@questbus/protocol";
import { type BusConnection, busUnavailable } from "./connection.ts";
import { ensureStream, isOutrun } from "./stream.ts";

/**
 * The lease of a cluster's leader: one key with a time to live in a replicated bucket.
 *
 * - L1: it is taken only while there is none, and renewed only by who took it last: the broker compares the revision.
 * - L2: the revision it is taken with is larger than any before it, for as long as the brokers keep their data.
 *
 * Renewed by publishing: the client's `kv.update` drops the time to live, and the lease would never end. No lock by itself:
 * a holder that is paused does not know that it is none. What it writes is refused at the batch stream.
 */
export type LeaderLease = {
  /** The revision with which a tenure begins, the epoch of it; null while somebody leads. */
  take(): Promise<number | null>;
  /** False when the lease is somebody else's, or nobody's. */
  renew(): Promise<boolean>;
  /** Gives it back, so that nobody waits for its end. */
  release(): Promise<void>;
};

const ackMsMax = 1_000;
const apiMsMax = 5_000;

const leaseConfig = (space: string, replicas: number): Partial<StreamConfig> & { name: string } => ({
  name: `KV_questbus-${space}`,
  subjects: [`$KV.questbus-${space}.>`],
  max_msgs_per_subject: 1,
  allow_msg_ttl: true,
  allow_direct: false,
  num_replicas: replicas,
});

export async function openLeaderLease(
  connection: BusConnection,
  { node, replicas }: { node: string; replicas: number },
): Promise<LeaderLease> {
  const { nats, space, url } = connection;
  const js = jetstream(nats, { timeout: ackMsMax });
  const jsm = await jetstreamManager(nats, { checkAPI: false, timeout: apiMsMax });
  const config = leaseConfig(space, replicas);
  await ensureStream(connection, jsm, config);
  const subject = `$KV.questbus-${space}.leader`;
  let revision = 0;

  /** Tells our own renewal, whose acknowledgement was lost, from another holder's. */
  const holder = `${node} ${randomUUID()}`;

  const put = async (): Promise<boolean> => {
    const work = js.publish(subject, holder, {
      ttl: `${limit.leaderLeaseMs / 1_000}s`,
      expect: { lastSubjectSequence: revision },
    });
    try {
      revision = (await connection.orDown(work)).seq;
      return true;
    } catch (error) {
      if (isOutrun(error)) return false;
      throw busUnavailable(`the lease of the leader: ${(error as Error).message}`, url);
    }
  };
  return {
    async take() {
      revision = 0;
      return (await put()) ? revision : null;
    },
    async renew() {
      if (await put()) return true;
      const found = await connection.orDown(jsm.streams.getMessage(config.name, { last_by_subj: subject }));
      if (found?.string() !== holder) return false;
      revision = found.seq;
      return put();
    },
    async release() {
      if (revision > 0) await jsm.streams.deleteMessage(config.name, revision, false);
      revision = 0;
    },
  };
}
