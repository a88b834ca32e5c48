import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { nodeDir } from "@questbus/bus";
import { QuestbusError } from "@questbus/protocol";
import { stateArtifacts } from "@questbus/store/place";
import { z } from "zod";

/**
 * The state directory of a cluster on this machine: `cluster.json`, and a state directory for each node. What agents leave
 * behind is shared: it lies in the cluster's directory, and each node's has a link to it.
 */
export type Cluster = { installation: string; secret: string; nodes: readonly string[] };

const record = z.object({
  /** Every node's journal begins from it. */
  installation: z.string(),
  /** By which the brokers know each other. */
  secret: z.string(),
  nodes: z.array(z.string()).min(1),
});

const clusterFile = (dir: string): string => join(dir, "cluster.json");

/** The cluster that a state directory holds; null when it is a single orchestrator's, or empty. */
export function findCluster(stateDir: string): Cluster | null {
  const file = clusterFile(resolve(stateDir));
  if (!existsSync(file)) return null;
  try {
    return record.parse(JSON.parse(readFileSync(file, "utf8")));
  } catch {
    throw new QuestbusError({
      code: "STATE_BROKEN",
      message: "the cluster's own file cannot be read",
      where: file,
      next: "start with another --state DIR; the nodes' states stand in its folders",
    });
  }
}

/**
 * The cluster of that state directory, made when there is none; null for a single orchestrator.
 *
 * @throws QuestbusError USAGE when the directory is the other kind's, or a cluster's node
 */
export function ensureCluster(stateDir: string, count: number | undefined): Cluster | null {
  const dir = resolve(stateDir);
  const found = findCluster(dir);
  const above = found ? null : findCluster(dirname(dir));
  if (above?.nodes.includes(basename(dir))) {
    throw new QuestbusError({
      code: "USAGE",
      message: `this is the state of ${basename(dir)}, a node of a cluster: what one orchestrator did on it, the others would not have`,
      where: dir,
      next: `start the cluster: questbus up --cluster ${above.nodes.length} --state ${dirname(dir)}`,
    });
  }
  if (found && found.nodes.length !== count) {
    throw new QuestbusError({
      code: "USAGE",
      message: `this is the state of a cluster of ${found.nodes.length} nodes`,
      where: dir,
      next: `start it with questbus up --cluster ${found.nodes.length}, or name another --state DIR`,
    });
  }
  if (found || count === undefined) return found;
  if (existsSync(join(dir, "questbus.db"))) {
    throw new QuestbusError({
      code: "USAGE",
      message: "this is the state of a single orchestrator",
      where: dir,
      next: "name another --state DIR for the cluster",
    });
  }
  const made: Cluster = {
    installation: randomBytes(8).toString("hex"),
    secret: randomBytes(24).toString("hex"),
    nodes: Array.from({ length: count }, (_, at) => `node-${at + 1}`),
  };
  mkdirSync(stateArtifacts(dir), { recursive: true, mode: 0o700 });
  for (const node of made.nodes) {
    mkdirSync(nodeDir(dir, node), { recursive: true, mode: 0o700 });
    const link = stateArtifacts(nodeDir(dir, node));
    if (!existsSync(link)) symlinkSync(join("..", "artifacts"), link);
  }
  const fresh = `${clusterFile(dir)}.${process.pid}`;
  writeFileSync(fresh, JSON.stringify(made), { mode: 0o600 });
  renameSync(fresh, clusterFile(dir));
  return made;
}
