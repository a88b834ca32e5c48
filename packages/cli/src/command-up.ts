import { resolve } from "node:path";
import { exitCode, QuestbusError, type Role, roles } from "@questbus/protocol";
import { type Cluster, findCluster } from "./cluster.ts";
import type { Common } from "./command-run.ts";
import { note, printData, printJson } from "./output.ts";
import { startStack } from "./stack.ts";
import { refuseRunning } from "./stack-record.ts";
import { makeStateDir } from "./state-dir.ts";

/** `without`: the roles whose work is for agents of the user's own. */
export type UpOptions = { cluster?: number; from?: string; without?: readonly Role[] };

/** `questbus up`: the stack in the foreground, until Ctrl-C. */
export async function up(common: Common, options: UpOptions = {}): Promise<number> {
  if (options.from !== undefined) {
    // A node that cannot go on is between two starts, and locks nothing then.
    refuseRunning(resolve(common.state));
    const { beginFrom } = await import("./cluster-state.ts");
    await beginFrom(common.state, clusterNamed(common.state, options.from), options.from);
  }
  const { cluster, without = [] } = options;
  const { sandbox } = common;
  const agents = roles.filter((role) => !without.includes(role));
  const stack = await startStack(makeStateDir(common.state), {
    cluster,
    agents,
    sandbox,
    onNews: (text) => note(text),
  });
  if (common.json) printJson({ url: stack.url, space: stack.space, state: resolve(common.state) });
  else printData(`questbus is up: ${stack.url} (${stack.broker}), state ${resolve(common.state)}`);
  note("submit a quest with: questbus submit FILE; Ctrl-C ends the stack");
  await new Promise<void>((done) => {
    if (common.signal.aborted) done();
    common.signal.addEventListener("abort", () => done(), { once: true });
  });
  await stack.stop();
  return exitCode.interrupted;
}

/** @throws QuestbusError USAGE when the state is no cluster's, or has no such node */
function clusterNamed(stateDir: string, node: string): Cluster {
  const cluster = findCluster(stateDir);
  if (cluster?.nodes.includes(node)) return cluster;
  throw new QuestbusError({
    code: "USAGE",
    message: cluster ? `the cluster has no node ${node}` : "there is no cluster in this state directory",
    where: resolve(stateDir),
    next: cluster ? `name one of ${cluster.nodes.join(", ")}` : "leave --from out, or check --state DIR",
  });
}
