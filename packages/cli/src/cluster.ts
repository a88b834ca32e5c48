import { randomBytes } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { nodeDir } from "@questbus/bus";
import { heldCursor, leaderCursor, positionCursor, restoreState } from "@questbus/orchestrator";
import { QuestbusError } from "@questbus/protocol";
import { createBackup, openStore, type StoreReader, stateArtifacts } from "@questbus/store";
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

/**
 * Begins a cluster anew from one node's database: the others get a copy of it, and the brokers' streams begin with what comes
 * next. The databases that were there are moved aside.
 *
 * @throws QuestbusError STATE_LOCKED while one of the nodes runs
 */
export async function beginFrom(stateDir: string, { nodes }: Cluster, from: string): Promise<void> {
  const dir = resolve(stateDir);
  const source = nodeDir(dir, from);
  const store = openStore({ dir: source, mode: "write" });
  try {
    store.transact((tx) => {
      tx.setCursor(positionCursor, 0);
      tx.setCursor(heldCursor, tx.head().seq);
    });
  } finally {
    store.close();
  }
  const copies = mkdtempSync(join(dir, "copy-"));
  try {
    const { name } = await createBackup(source, copies);
    for (const node of nodes.filter((each) => each !== from))
      await restoreState({ from: copies, backup: name }, nodeDir(dir, node), { replaces: false });
  } finally {
    rmSync(copies, { recursive: true, force: true });
  }
  for (const node of nodes)
    rmSync(join(nodeDir(dir, node), "broker", "js"), { recursive: true, force: true });
}

export type NodeStanding = { node: string; seq: number; epoch: number; leads: boolean };

/** What each node's own state says: how far it is, and who began to lead last. Nodes without a state are left out. */
export function standingOf(stateDir: string, { nodes }: Cluster): NodeStanding[] {
  const read = nodes.flatMap((node) => {
    const found = readNode(nodeDir(resolve(stateDir), node), (store) => {
      const [row] = store.readJournal({ afterSeq: store.getCursor(leaderCursor) - 1, limit: 1 });
      return { seq: store.head().seq, began: row?.type === "leader.began" ? row.body : null };
    });
    return found ? [{ node, ...found }] : [];
  });
  const epoch = Math.max(0, ...read.map(({ began }) => began?.epoch ?? 0));
  const leader = read.find(({ began }) => began?.epoch === epoch)?.began?.node;
  return read.map(({ node, seq, began }) => ({
    node,
    seq,
    epoch: began?.epoch ?? 0,
    leads: node === leader,
  }));
}

function readNode<T>(dir: string, look: (store: StoreReader) => T): T | null {
  if (!existsSync(join(dir, "questbus.db"))) return null;
  try {
    const store = openStore({ dir, mode: "read" });
    try {
      return look(store);
    } finally {
      store.close();
    }
  } catch (error) {
    if (error instanceof QuestbusError && error.code === "STATE_MISSING") return null;
    throw error;
  }
}

/** Where the database of a state directory is read: in a cluster, that of the node that leads. */
export function storeDirOf(stateDir: string): string {
  const dir = resolve(stateDir);
  const cluster = findCluster(dir);
  if (!cluster) return dir;
  const standing = standingOf(dir, cluster);
  return nodeDir(dir, standing.find(({ leads }) => leads)?.node ?? (cluster.nodes[0] as string));
}

/** In words: who leads, and how far the others are behind. */
export function standingText(standing: readonly NodeStanding[], isRunning: boolean): string {
  const leader = standing.find(({ leads }) => leads);
  const headSeq = Math.max(0, ...standing.map(({ seq }) => seq));
  const others = standing.filter(({ leads }) => !leads);
  const behind = others.map(({ node, seq }) => `${node} ${headSeq - seq} rows behind`).join(", ");
  return `${leader ? `${leader.node} ${isRunning ? "leads" : "led last"} (epoch ${leader.epoch})` : "nobody led yet"}; ${behind}`;
}
