import { parseArgs } from "node:util";
import { startArchive } from "./archive-worker.ts";

/**
 * The orchestrator's process: `main.ts --state DIR --space NAME --url NATS_URL`. Without `--url` its parent sends
 * `{ url }` once the broker runs, which is started beside it. Says `ready` to its parent. With `--backups DIR` and
 * `--checkpoints DIR` what is kept outside of the database is kept there. With `--node NAME`, `--installation ID` and
 * `--replicas COUNT` it is a node of a cluster: it follows until it leads.
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
// A parent that is gone cannot restart or end us: nobody would. Nothing is to be stopped before it is there.
const leaving = { stop: (): void => process.exit(1) };
process.once("disconnect", () => leaving.stop());
const url = new Promise<string>((done) => {
  if (values.url !== undefined) done(values.url);
  else process.once("message", (told: { url: string }) => done(told.url));
});
// Its thread loads code, most of a start, while this one does.
const archive = startArchive();
const [{ pino }, { linesTo, redactLine }, { run }] = await Promise.all([
  import("pino"),
  import("@questbus/protocol"),
  import("./orchestrator-process.ts"),
]);
const log = pino(
  { name: "orchestrator", level: process.env.QUESTBUS_LOG ?? "info", hooks: { streamWrite: redactLine } },
  linesTo(2),
);
await run({ ...values, url, archive, log, leaving });
