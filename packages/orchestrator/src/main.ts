import { parseArgs } from "node:util";
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
import { faultsOf, QuestbusError, redactText } from "@questbus/protocol";
import { backupsDir, checkpointsDir, openStore, type Store } from "@questbus/store";
import { pino } from "pino";
import { type Archived, startArchive } from "./archive.ts";
import { startOrchestrator } from "./orchestrator.ts";
import { startStandby } from "./standby/standby.ts";

/**
 * The orchestrator's process: `main.ts --state DIR --url NATS_URL --space NAME`. Says `ready` to its parent. With
 * `--backups DIR` and `--checkpoints DIR` what is kept outside of the database is kept there. With `--node NAME`,
 * `--installation ID` and `--replicas COUNT` it is a node of a cluster: it follows until it leads.
 */
const option = { type: "string" } as const;
const { values } = parseArgs({
  options: {
    state: option,
    url: option,
    space: option,
    credentials: option,
    backups: option,
    checkpoints: option,
    node: option,
    installation: option,
    replicas: option,
  },
});
const { state = "", url = "", space = "", node, installation } = values;
const replicas = Number(values.replicas ?? 1);
/** A cluster's first start waits for its brokers to find each other. */
const clusterReadyMsMax = 30_000;
const log = pino(
  { name: "orchestrator", level: process.env.QUESTBUS_LOG ?? "info", hooks: { streamWrite: redactText } },
  pino.destination({ dest: 2, sync: true }),
);

/** How long the parent has to take what is said last. */
const toldWithinMs = 1_000;

/** A connection that is open would keep a process alive that does nothing, and holds the lock of the state. */
function fail(error: unknown, message: string): void {
  const faults = faultsOf(error);
  log.fatal({ err: error, faults }, message);
  const leave = (): never => process.exit(1);
  if (!process.connected) leave();
  process.send?.({ faults }, leave);
  // A parent that does not read must not keep it.
  setTimeout(leave, toldWithinMs);
}

const onLead = (epoch: number): void => void process.send?.({ leads: epoch });

/** Nothing more is said or done by a node that leads no more: not even what waits for this turn of the event loop. */
function end(why: unknown): void {
  if (why instanceof QuestbusError) return fail(why, "cannot go on");
  log.warn(why instanceof Error ? { err: why } : { why }, "this node ends, to be started anew");
  process.exit(1);
}

type Parts = { store: Store; connection: BusConnection; archive: Archived };

async function begin({ store, connection, archive }: Parts): Promise<{ stop(): Promise<void> }> {
  // What is committed before the archive is at work would be lost with this disk.
  const serve = async (handlers: Parameters<typeof serveCommands>[1]) => {
    await archive.atWork;
    return serveCommands(connection, handlers);
  };
  const common = { store, log, time: systemTime, serve };
  if (node === undefined)
    return startOrchestrator({ ...common, stream: await openJournalStream(connection) });
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
    onEnd: end,
    onLead,
  });
}

try {
  const store = openStore({
    dir: state,
    mode: "write",
    ...(installation === undefined ? {} : { installation }),
  });
  const archive = startArchive(
    {
      stateDir: state,
      backups: values.backups ?? backupsDir(state),
      checkpoints: [checkpointsDir(state), ...(values.checkpoints ? [values.checkpoints] : [])],
      heldOnly: node !== undefined,
    },
    log,
  );
  const credential = credentialPath(values.credentials ?? state, "orchestrator", "main");
  const connection = await connectBus({ url, credential, space });
  const orchestrator = await begin({ store, connection, archive });
  const stop = async (): Promise<void> => {
    await orchestrator.stop();
    await archive.stop();
    await connection.close();
    store.close();
    process.exit(0);
  };
  process.once("SIGTERM", stop);
  process.once("SIGINT", () => {});
  // A parent that is gone cannot restart or end us: nobody would.
  process.once("disconnect", stop);
  process.send?.({ ready: true });
  log.info({ url, space }, "ready");
} catch (error) {
  fail(error, "cannot start");
}
