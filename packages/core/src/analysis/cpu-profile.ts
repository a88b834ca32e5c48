/**
 * Reads a V8 CPU profile (`.cpuprofile`: Profiler.Profile of the Chrome DevTools protocol). The target made it, so
 * nothing in it is trusted: what is not a profile is null, and a broken sample counts as no time.
 */
export type Frame = { name: string; url: string; line: number; column: number };

/** A call stack, by its innermost frame; `parent` null: nothing called it. */
export type StackNode = { frame: Frame; parent: StackNode | null; selfUs: number };

export type CpuProfile = { nodes: readonly StackNode[]; durationUs: number };

/** Longer than any run may take; sums of such times stay finite. */
const stretchUsMax = 1e12;
/** More nodes than any program has call paths; beyond it a profile is not read. */
const nodesMax = 500_000;

type Tree = Record<string, unknown>;
const isTree = (value: unknown): value is Tree =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
const textOf = (value: unknown): string => (typeof value === "string" ? value : "");
const countOf = (value: unknown): number =>
  typeof value === "number" && Number.isFinite(value) && value > 0 ? value : 0;

/** Lines and columns from 1, as editors count; a profile counts from 0. */
function frameOf(value: unknown): Frame {
  const frame = isTree(value) ? value : {};
  const place = (at: unknown): number => Math.floor(countOf(at)) + 1;
  return {
    name: textOf(frame.functionName),
    url: textOf(frame.url),
    line: place(frame.lineNumber),
    column: place(frame.columnNumber),
  };
}

/** The nodes by their ids; the first of an id counts. A child that would be its own caller has none. */
function linkNodes(raw: readonly unknown[]): Map<unknown, StackNode> {
  const nodes = new Map<unknown, StackNode>();
  const entries = raw.filter(isTree).filter((each) => {
    if (nodes.has(each.id)) return false;
    nodes.set(each.id, { frame: frameOf(each.callFrame), parent: null, selfUs: 0 });
    return true;
  });
  for (const entry of entries) {
    const parent = nodes.get(entry.id) as StackNode;
    for (const id of listOf(entry.children)) {
      const child = nodes.get(id);
      if (child && child.parent === null) child.parent = parent;
    }
  }
  cutCycles(nodes.values());
  return nodes;
}

function cutCycles(nodes: Iterable<StackNode>): void {
  const sound = new Set<StackNode>();
  for (const node of nodes) {
    const trail = new Set<StackNode>();
    let at: StackNode | null = node;
    while (at && !sound.has(at)) {
      trail.add(at);
      if (at.parent && trail.has(at.parent)) at.parent = null;
      at = at.parent;
    }
    for (const each of trail) sound.add(each);
  }
}

/** A profile, or null when `value` is none. Time runs from each sample to the next; a clock that goes back adds none. */
export function readCpuProfile(value: unknown): CpuProfile | null {
  if (!isTree(value) || !Array.isArray(value.nodes) || !Array.isArray(value.samples)) return null;
  if (value.nodes.length > nodesMax) return null;
  const nodes = linkNodes(value.nodes);
  const deltas = listOf(value.timeDeltas);
  const lastUs = Math.max(0, countOf(value.endTime) - countOf(value.startTime) - sumOf(deltas));
  let durationUs = 0;
  value.samples.forEach((id, at) => {
    const isLast = at === (value.samples as unknown[]).length - 1;
    const us = Math.min(stretchUsMax, isLast ? lastUs : countOf(deltas[at + 1]));
    const node = nodes.get(id);
    if (!node) return;
    node.selfUs += us;
    durationUs += us;
  });
  return { nodes: [...nodes.values()], durationUs };
}

const sumOf = (values: readonly unknown[]): number =>
  values.reduce<number>(
    (sum, each) => sum + (typeof each === "number" && Number.isFinite(each) ? each : 0),
    0,
  );
