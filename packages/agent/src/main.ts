import { createHash, randomUUID } from "node:crypto";
import { parseArgs } from "node:util";
import { connectBus, createClient, credentialPath } from "@questbus/bus";
import {
  faultsOf,
  limit,
  linesTo,
  redactLine,
  role as roleSchema,
  sandboxPolicies,
} from "@questbus/protocol";
import { openSandbox } from "@questbus/workbench";
import { pino } from "pino";
import { z } from "zod";
import { loadBuiltIn } from "./built-in.ts";
import { runSession } from "./session.ts";

/** One agent's process: `main.ts --role ROLE --name NAME --state DIR --url NATS_URL --space NAME --sandbox POLICY`. */
const { values } = parseArgs({
  options: {
    role: { type: "string" },
    name: { type: "string" },
    state: { type: "string" },
    url: { type: "string" },
    space: { type: "string" },
    sandbox: { type: "string" },
  },
});
const { name = "", state = "", url = "", space = "" } = values;
const log = pino(
  { name, level: process.env.QUESTBUS_LOG ?? "info", hooks: { streamWrite: redactLine } },
  linesTo(2),
);
const stopping = new AbortController();
const stop = (): void => stopping.abort();
process.once("SIGTERM", stop);
process.once("SIGINT", () => {});
process.once("disconnect", stop);
// Whoever started this process may have ended while it loaded its code.
if (process.connected === false) stop();

try {
  const role = roleSchema.parse(values.role);
  const { definition, behaviour } = await loadBuiltIn(role);
  const sandbox = openSandbox({
    policy: z.enum(sandboxPolicies).default("required").parse(values.sandbox),
    hidden: [state],
    owner: createHash("sha256").update(`${state} ${name}`).digest("hex").slice(0, 16),
  });
  if (stopping.signal.aborted) process.exit(0);
  const connection = await connectBus({ url, credential: credentialPath(state, role, name), space });
  const client = createClient(connection);
  const session = {
    client,
    definition,
    behaviour,
    name,
    stateDir: state,
    sandbox,
    log,
    signal: stopping.signal,
  };
  // Whoever started this process ends it when it falls silent.
  const alive = (): void => void process.send?.("alive", () => {});
  alive();
  setInterval(alive, limit.renewEveryMs).unref();
  await runSession(session, randomUUID());
  await connection.close();
  sandbox.close();
  process.exit(0);
} catch (error) {
  log.fatal({ err: error, faults: faultsOf(error) }, "the agent ended");
  process.exit(1);
}
