import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { connectBus, createClient, credentialPath } from "@questbus/bus";
import { faultsOf, limit, redactText, role as roleSchema } from "@questbus/protocol";
import { pino } from "pino";
import type { Behaviour } from "./behaviour.ts";
import { loadDefinition } from "./definition.ts";
import { runSession } from "./session.ts";

/** One agent's process: `main.ts --role ROLE --name NAME --state DIR --url NATS_URL --space NAME`. */
const { values } = parseArgs({
  options: {
    role: { type: "string" },
    name: { type: "string" },
    state: { type: "string" },
    url: { type: "string" },
    space: { type: "string" },
  },
});
const { name = "", state = "", url = "", space = "" } = values;
const log = pino(
  { name, level: process.env.QUESTBUS_LOG ?? "info", hooks: { streamWrite: redactText } },
  pino.destination({ dest: 2, sync: true }),
);

try {
  const role = roleSchema.parse(values.role);
  const agents = fileURLToPath(new URL("../../../agents/", import.meta.url));
  const definition = loadDefinition(agents, role);
  const module = (await import(pathToFileURL(join(agents, role, "behaviour.ts")).href)) as {
    behaviour: Behaviour;
  };
  const stopping = new AbortController();
  const stop = (): void => stopping.abort();
  process.once("SIGTERM", stop);
  process.once("SIGINT", () => {});
  process.once("disconnect", stop);
  const connection = await connectBus({ url, credential: credentialPath(state, role, name), space });
  const client = createClient(connection);
  const session = {
    client,
    definition,
    behaviour: module.behaviour,
    name,
    stateDir: state,
    log,
    signal: stopping.signal,
  };
  // Whoever started this process ends it when it falls silent.
  const alive = (): void => void process.send?.("alive", () => {});
  alive();
  setInterval(alive, limit.renewEveryMs).unref();
  await runSession(session, randomUUID());
  await connection.close();
  process.exit(0);
} catch (error) {
  log.fatal({ err: error, faults: faultsOf(error) }, "the agent ended");
  process.exit(1);
}
