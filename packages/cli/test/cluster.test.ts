import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { heldCursor, positionCursor } from "@questbus/orchestrator";
import { openStore, type Store } from "@questbus/store";
import { startTimeOf } from "@questbus/workbench";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Cluster, ensureCluster } from "../src/cluster.ts";
import { beginFrom, standingOf, storeDirOf } from "../src/cluster-state.ts";
import { up } from "../src/command-up.ts";

let dir: string;
let cluster: Cluster;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "questbus-cluster-"));
  cluster = ensureCluster(dir, 3) as Cluster;
});
afterEach(() => rmSync(dir, { recursive: true }));

function inNode<T>(node: string, work: (store: Store) => T): T {
  const store = openStore({ dir: join(dir, node), mode: "write", installation: cluster.installation });
  try {
    return work(store);
  } finally {
    store.close();
  }
}

/** One row for each of these tenures. */
const lead = (node: string, ...leaders: string[]): void =>
  inNode(node, (store) => {
    for (const name of leaders) {
      const actor = { role: "orchestrator", name } as const;
      const body = { node: name, epoch: 1 };
      store.transact((tx) => {
        tx.append([{ type: "leader.began", quest: null, actor, body }], { timeMs: 1, command: null });
        tx.setCursor(positionCursor, 7);
      });
    }
  });

const js = (node: string): string => join(dir, node, "broker", "js");

beforeEach(() => {
  lead("node-1", "node-1", "node-2");
  lead("node-2", "node-1");
  for (const node of cluster.nodes) mkdirSync(js(node), { recursive: true });
});

it("no single orchestrator is started on a node: what it did there, the others would not have", () => {
  for (const count of [undefined, 3])
    expect(() => ensureCluster(join(dir, "node-2"), count)).toThrow(
      expect.objectContaining({
        code: "USAGE",
        message: expect.stringContaining("node-2, a node of a cluster"),
      }),
    );
  expect(ensureCluster(join(dir, "elsewhere"), undefined)).toBeNull();
});

it("is read from another node where one's database is damaged, which is told", () => {
  expect(storeDirOf(dir)).toBe(join(dir, "node-1"));
  writeFileSync(join(dir, "node-1", "questbus.db"), "XXXX", { flag: "r+" });
  const told: string[] = [];
  const standing = standingOf(dir, cluster, (node, { code }) => told.push(`${node} ${code}`));
  expect(standing).toMatchObject([{ node: "node-2", seq: 1 }]);
  expect(told).toEqual(["node-1 STATE_BROKEN"]);
  expect(storeDirOf(dir)).toBe(join(dir, "node-2"));
});

describe("a cluster that begins anew from one node", () => {
  it("has that node's rows everywhere, all of them held, and streams without a message", async () => {
    await beginFrom(dir, cluster, "node-1");
    const heads = cluster.nodes.map((node) =>
      inNode(node, (store) => ({
        head: store.head(),
        held: store.getCursor(heldCursor),
        position: store.getCursor(positionCursor),
      })),
    );
    const head = { seq: 2, hash: expect.any(String) };
    expect(heads[0]).toEqual({ head, held: 2, position: 0 });
    expect(heads).toEqual([heads[0], heads[0], heads[0]]);
    expect(cluster.nodes.filter((node) => existsSync(js(node)))).toEqual([]);
    // What node-2 had is moved aside, and nothing of the copying is left.
    expect(readdirSync(join(dir, "node-2")).some((name) => name.startsWith("before-restore-"))).toBe(true);
    expect(readdirSync(dir).filter((name) => name.startsWith("copy-"))).toEqual([]);
  });

  it("is refused from a node without a database, and none is made there", async () => {
    await expect(beginFrom(dir, cluster, "node-3")).rejects.toMatchObject({ code: "STATE_MISSING" });
    expect(existsSync(join(dir, "node-3", "questbus.db"))).toBe(false);
    expect(cluster.nodes.filter((node) => existsSync(js(node)))).toEqual(cluster.nodes);
  });

  it("is refused while a stack runs on it, and nothing has changed then", async () => {
    const record = { id: "x", url: "nats://127.0.0.1:1", space: "local", pid: process.pid };
    writeFileSync(join(dir, "stack.json"), JSON.stringify({ ...record, start: startTimeOf(process.pid) }));
    const common = { state: dir, json: false, signal: AbortSignal.abort() };
    await expect(up(common, { cluster: 3, from: "node-1" })).rejects.toMatchObject({ code: "STATE_LOCKED" });
    expect(inNode("node-1", (store) => store.getCursor(positionCursor))).toBe(7);
    expect(cluster.nodes.filter((node) => existsSync(js(node)))).toEqual(cluster.nodes);
  });
});
