// The service of Restate: `restate-service.mjs PORT PHASE…`, one durable step a phase, each answered at once.
import { createRequire } from "node:module";
import { join } from "node:path";
import { resultOf } from "../speed/workload.ts";

const [port, ...phases] = process.argv.slice(2);
const restate = createRequire(join(process.env.BENCH_MODULES, "package.json"))("@restatedev/restate-sdk");
const task = async (context, input) => {
  let result = null;
  for (const phase of phases) result = await context.run(phase, async () => resultOf(input.task));
  return result;
};
await restate.serve({
  services: [restate.service({ name: "loop", handlers: { task } })],
  port: Number(port),
});
process.once("SIGTERM", () => process.exit(0));
process.send("ready");
