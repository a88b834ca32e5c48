// One worker of the bench: takes asks and answers each phase at once. Arguments: state directory, broker, name.
import { workAsks } from "@questbus/agent";
import { connectBus, createClient, credentialPath } from "@questbus/bus";
import { resultOf } from "./workload.ts";

const [state = "", url = "", name = ""] = process.argv.slice(2);
const stopping = new AbortController();
const connection = await connectBus({ url, credential: credentialPath(state, "qa", name) });
const working = workAsks({
  client: createClient(connection),
  asksMax: 64,
  signal: stopping.signal,
  answer: ({ data }) => resultOf((data as { task: string }).task),
  onTrouble: (faults) => process.stderr.write(`${JSON.stringify(faults)}\n`),
});
process.once("SIGTERM", async () => {
  stopping.abort();
  await working;
  process.exit(0);
});
process.send?.("ready");
