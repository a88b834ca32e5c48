import { parseArgs } from "node:util";
import { connectBus, credentialPath, openJournalStream, serveCommands, systemTime } from "@questbus/bus";
import { faultsOf } from "@questbus/protocol";
import { backupsDir, checkpointsDir, openStore } from "@questbus/store";
import { pino } from "pino";
import { startArchive } from "./archive.ts";
import { startOrchestrator } from "./orchestrator.ts";

/**
 * The orchestrator's process: `main.ts --state DIR --url NATS_URL --space NAME`. Says `ready` to its parent. With
 * `--backups DIR` and `--checkpoints DIR` what is kept outside of the database is kept there.
 */
const option = { type: "string" } as const;
const { values } = parseArgs({
  options: { state: option, url: option, space: option, backups: option, checkpoints: option },
});
const { state = "", url = "", space = "" } = values;
const log = pino(
  { name: "orchestrator", level: process.env.QUESTBUS_LOG ?? "info" },
  pino.destination({ dest: 2, sync: true }),
);

try {
  const store = openStore({ dir: state, mode: "write" });
  const credential = credentialPath(state, "orchestrator", "main");
  const connection = await connectBus({ url, credential, space });
  const stream = await openJournalStream(connection);
  const orchestrator = await startOrchestrator({
    store,
    stream,
    log,
    time: systemTime,
    serve: (handlers) => serveCommands(connection, handlers),
  });
  const archive = startArchive(
    {
      stateDir: state,
      backups: values.backups ?? backupsDir(state),
      checkpoints: [checkpointsDir(state), ...(values.checkpoints ? [values.checkpoints] : [])],
    },
    log,
  );
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
  const faults = faultsOf(error);
  log.fatal({ err: error, faults }, "cannot start");
  // A connection that is open would keep a process alive that does nothing, and holds the lock of the state.
  const leave = (): never => process.exit(1);
  if (process.send) process.send({ faults }, leave);
  else leave();
}
