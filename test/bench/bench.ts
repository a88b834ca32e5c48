// `npm run bench -- --workload W1|W3 [--peer bullmq|restate] [--tasks N] [--rounds N] [--json]`: our rate, and a peer's in turn.
import { parseArgs } from "node:util";
import { faultsOf } from "@questbus/protocol";
import { peers, playRounds, ratioOf } from "./speed/round.ts";
import { workloads } from "./speed/workload.ts";

function usage(message: string): never {
  const peerNames = Object.keys(peers).join("|");
  process.stderr.write(
    `error USAGE: ${message}\n  next: npm run bench -- --workload ${workloads.join("|")} [--peer ${peerNames}] [--tasks N] [--rounds N] [--json]\n`,
  );
  process.exit(2);
}

const options = {
  workload: { type: "string", default: "W3" },
  peer: { type: "string" },
  tasks: { type: "string" },
  window: { type: "string", default: "256" },
  latencies: { type: "string", default: "200" },
  rounds: { type: "string", default: "1" },
  json: { type: "boolean", default: false },
} as const;

function given() {
  try {
    return parseArgs({ options }).values;
  } catch (error) {
    return usage((error as Error).message.split(". ")[0] as string);
  }
}
const values = given();

/** The rate is counted between a tenth and nine tenths of the tasks: it takes some. */
const tasksMin = 100;
function count(name: "tasks" | "window" | "latencies" | "rounds", standard: number, least = 1): number {
  const number = Number(values[name] ?? standard);
  return Number.isInteger(number) && number >= least
    ? number
    : usage(`--${name} is a whole number from ${least}`);
}

const workload = workloads.find((each) => each === values.workload);
if (!workload) usage(`there is no workload ${values.workload}`);
const peer = values.peer === undefined ? null : peers[values.peer];
if (peer === undefined) usage(`there is no peer ${values.peer}`);

const settings = {
  workload,
  tasks: count("tasks", workload === "W1" ? 20_000 : 10_000, tasksMin),
  window: count("window", 256),
  latencies: count("latencies", 200),
  rounds: count("rounds", 1),
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
