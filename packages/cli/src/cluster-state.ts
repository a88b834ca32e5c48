import { mkdtempSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { nodeDir } from "@questbus/bus";
import { heldCursor, leaderCursor, positionCursor, restoreState } from "@questbus/orchestrator";
import { type Fault, QuestbusError } from "@questbus/protocol";
import { createBackup, openStore, type StoreReader } from "@questbus/store";
import { type Cluster, findCluster } from "./cluster.ts";
import { hasState } from "./state-dir.ts";

/** What the databases of a cluster's nodes say, and beginning anew from one of them. */

/**
 * Begins a cluster anew from one node's database: the others get a copy of it, and the brokers' streams begin with what comes
 * next. The databases that were there are moved aside.
 *
 * @throws QuestbusError STATE_MISSING, and STATE_LOCKED while one of the nodes runs
 */
export async function beginFrom(stateDir: string, { nodes }: Cluster, from: string): Promise<void> {
  const dir = resolve(stateDir);
  const source = nodeDir(dir, from);
  if (!hasState(source)) {
    throw new QuestbusError({
      code: "STATE_MISSING",
      message: `${from} has no database to begin from`,
      where: source,
      next: "name another node: questbus doctor says how far each is",
    });
  }
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
      await restoreState({ from: copies, backup: name }, nodeDir(dir, node), { setsAside: [], isNew: true });
  } finally {
    rmSync(copies, { recursive: true, force: true });
  }
  for (const node of nodes)
    rmSync(join(nodeDir(dir, node), "broker", "js"), { recursive: true, force: true });
}

export type NodeStanding = { node: string; seq: number; epoch: number; leads: boolean };

/**
 * What each node's own state says: how far it is, and who began to lead last. Nodes without a state are left out, and those
 * whose state cannot be read: the others go on without them.
 */
export function standingOf(
  stateDir: string,
  { nodes }: Cluster,
  onDamage: (node: string, fault: Fault) => void = () => {},
): NodeStanding[] {
  const read = nodes.flatMap((node) => {
    const tell = (fault: Fault): void => onDamage(node, fault);
    const found = readNode(nodeDir(resolve(stateDir), node), tell, (store) => {
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

function readNode<T>(dir: string, tell: (fault: Fault) => void, look: (store: StoreReader) => T): T | null {
  if (!hasState(dir)) return null;
  try {
    const store = openStore({ dir, mode: "read" });
    try {
      return look(store);
    } finally {
      store.close();
    }
  } catch (error) {
    if (!(error instanceof QuestbusError)) throw error;
    if (error.code !== "STATE_MISSING") tell(error.faults[0] as Fault);
    return null;
  }
}

/** Where the database of a state directory is read: in a cluster, that of the node that leads, else of the one that has most rows. */
export function storeDirOf(stateDir: string): string {
  const dir = resolve(stateDir);
  const cluster = findCluster(dir);
  if (!cluster) return dir;
  const standing = standingOf(dir, cluster);
  const most = standing.toSorted((a, b) => b.seq - a.seq)[0];
  const read = standing.find(({ leads }) => leads) ?? most;
  return nodeDir(dir, read?.node ?? (cluster.nodes[0] as string));
}

/** In words: who leads, and how far the others are behind. */
export function standingText(standing: readonly NodeStanding[], isRunning: boolean): string {
  const leader = standing.find(({ leads }) => leads);
  const headSeq = Math.max(0, ...standing.map(({ seq }) => seq));
  const others = standing.filter(({ leads }) => !leads);
  const behind = others.map(({ node, seq }) => `${node} ${headSeq - seq} rows behind`).join(", ");
  const led = leader
    ? `${leader.node} ${isRunning ? "leads" : "led last"} (epoch ${leader.epoch})`
    : "nobody led yet";
  return [led, ...(behind ? [behind] : [])].join("; ");
}
