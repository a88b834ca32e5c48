// `npm run bench -- --workload W1|W3 [--peer bullmq|restate] [--tasks N] [--rounds N] [--json]`: our rate, and a peer's in turn.
import { parseArgs } from "node:util";
import { faultsOf } from "@questbus/protocol";
import { peers, playRounds, ratioOf } from "./speed/round.ts";
import { workloads } from "./speed/workload.ts";

const { values } = parseArgs({
  options: {
    workload: { type: "string", default: "W3" },
    peer: { type: "string" },
    tasks: { type: "string" },
    window: { type: "string", default: "256" },
    latencies: { type: "string", default: "200" },
    rounds: { type: "string", default: "1" },
    json: { type: "boolean", default: false },
  },
});
const workload = workloads.find((each) => each === values.workload);
const peer = values.peer === undefined ? null : peers[values.peer];
if (!workload || peer === undefined) {
  process.stderr.write(
    `--workload is ${workloads.join(" or ")}, --peer one of ${Object.keys(peers).join(", ")}\n`,
  );
  process.exit(2);
}

const settings = {
  workload,
  tasks: Number(values.tasks ?? (workload === "W1" ? 20_000 : 10_000)),
  window: Number(values.window),
  latencies: Number(values.latencies),
  rounds: Number(values.rounds),
};
try {
  const note = (text: string): void => void process.stderr.write(`${text}\n`);
  const rounds = await playRounds(peer && (await peer()), settings, note);
  const ratio = peer ? Number(ratioOf(rounds, ({ perS }) => perS).toFixed(2)) : null;
  if (values.json) process.stdout.write(`${JSON.stringify({ ...settings, rounds, ratio })}\n`);
  else if (ratio !== null) process.stdout.write(`${ratio} times ${values.peer}\n`);
  process.exit(0);
} catch (error) {
  for (const { code, message, next } of faultsOf(error))
    process.stderr.write(`error ${code}: ${message}\n${next ? `  next: ${next}\n` : ""}`);
  process.exit(1);
}
