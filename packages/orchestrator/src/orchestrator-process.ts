import {
  announceServing,
  type BusConnection,
  connectBus,
  credentialPath,
  openBatchStream,
  openJournalStream,
  openLeaderLease,
  serveCommands,
  systemTime,
} from "@questbus/bus";
import { faultsOf, QuestbusError } from "@questbus/protocol";
import { backupsDir, checkpointsDir, openStore, type Store } from "@questbus/store";
import type { Logger } from "pino";
import type { Archived } from "./archive-worker.ts";
import { startOrchestrator } from "./orchestrator.ts";
import { settleRestores } from "./set-aside.ts";

/** What `main.ts` was told, and what it began before this file was loaded. */
type Given = {
  state?: string | undefined;
  space?: string | undefined;
  credentials?: string | undefined;
  backups?: string | undefined;
  checkpoints?: string | undefined;
  node?: string | undefined;
  installation?: string | undefined;
  replicas?: string | undefined;
  url: Promise<string>;
  archive: Archived;
  log: Logger;
  /** What is done when the parent is gone. */
  leaving: { stop(): unknown };
};

/** A cluster's first start waits for its brokers to find each other. */
const clusterReadyMsMax = 30_000;
/** How long the parent has to take what is said last. */
const toldWithinMs = 1_000;

/** A connection that is open would keep a process alive that does nothing, and holds the lock of the state. */
function fail(log: Logger, error: unknown, message: string): void {
  const faults = faultsOf(error);
  log.fatal({ err: error, faults }, message);
  const leave = (): never => process.exit(1);
  if (!process.connected) leave();
  process.send?.({ faults }, leave);
  // A parent that does not read must not keep it.
  setTimeout(leave, toldWithinMs);
}

/** Nothing more is said or done by a node that leads no more: not even what waits for this turn of the event loop. */
function end(log: Logger, why: unknown): void {
  if (why instanceof QuestbusError) return fail(log, why, "cannot go on");
  log.warn(why instanceof Error ? { err: why } : { why }, "this node ends, to be started anew");
  process.exit(1);
}

type Parts = { store: Store; connection: BusConnection; atWork: Promise<void> };

async function begin(given: Given, { store, connection, atWork }: Parts): Promise<{ stop(): Promise<void> }> {
  const { node, log } = given;
  // What is committed before the archive is at work would be lost with this disk.
  const serve = async (handlers: Parameters<typeof serveCommands>[1]) => {
    await atWork;
    return serveCommands(connection, handlers);
  };
  const common = { store, log, time: systemTime, serve };
  if (node === undefined)
    return startOrchestrator({ ...common, stream: await openJournalStream(connection) });
  const replicas = Number(given.replicas ?? 1);
  const { startStandby } = await import("./standby/standby.ts");
  const journal = await openJournalStream(connection, { replicas, readyForMs: clusterReadyMsMax });
  const batches = await openBatchStream(connection, { replicas });
  const lease = await openLeaderLease(connection, { node, replicas });
  return startStandby({
    ...common,
    node,
    journal,
    batches,
    lease,
    announce: () => announceServing(connection),
    onEnd: (why) => end(log, why),
    onLead: (epoch) => void process.send?.({ leads: epoch }),
  });
}

/** Opens the state and serves until it is told to stop; what keeps it from that is said to the parent. */
export async function run(given: Given): Promise<void> {
  const { state = "", space = "", node, installation, archive, log } = given;
  try {
    const store = openStore({
      dir: state,
      mode: "write",
      ...(installation === undefined ? {} : { installation }),
    });
    // One that was killed: before anything is written behind the row that it restored to.
    settleRestores(state);
    const place = {
      stateDir: state,
      backups: given.backups ?? backupsDir(state),
      checkpoints: [checkpointsDir(state), ...(given.checkpoints ? [given.checkpoints] : [])],
      heldOnly: node !== undefined,
    };
    // The first word to the parent is that it is ready, or why not.
    const isReady = Promise.withResolvers<void>();
    const atWork = archive.begin(place, log, (why) => {
      void isReady.promise.then(() => process.send?.({ archive: why }));
    });
    const url = await given.url;
    const credential = credentialPath(given.credentials ?? state, "orchestrator", "main");
    const connection = await connectBus({ url, credential, space });
    const orchestrator = await begin(given, { store, connection, atWork });
    const stop = async (): Promise<void> => {
      await orchestrator.stop();
      await archive.stop();
      await connection.close();
      store.close();
      process.exit(0);
    };
    process.once("SIGTERM", stop);
    process.once("SIGINT", () => {});
    given.leaving.stop = stop;
    process.send?.({ ready: true });
    isReady.resolve();
    log.info({ url, space }, "ready");
  } catch (error) {
    fail(log, error, "cannot start");
  }
}
