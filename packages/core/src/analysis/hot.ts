import type { Analysis } from "@questbus/protocol";
import type { CpuProfile, Frame, StackNode } from "./cpu-profile.ts";

/** A function and the time spent in itself. */
export type SelfTime = {
  name: string;
  where: string | null;
  origin: Analysis["hot"][number]["origin"];
  from: string | null;
  us: number;
};

/** Where the profiles' time went: in functions, hottest first, and apart from them. */
export type TimeSplit = {
  basis: NonNullable<Analysis["basis"]>;
  totalUs: number;
  functions: readonly SelfTime[];
  gcUs: number;
  nativeUs: number;
  idleUs: number;
  /** On `program`: what the same processes waited, which is not in the whole. */
  waitUs: number;
};

type Origin = SelfTime["origin"];
type Place = { origin: Origin; where: string | null; inside: boolean };

const special = {
  "(garbage collector)": "gc",
  "(program)": "native",
  "(idle)": "idle",
  "(root)": "root",
} as const;
type Special = (typeof special)[keyof typeof special];

const specialOf = ({ name, url }: Frame): Special | null =>
  url === "" && Object.hasOwn(special, name) ? special[name as keyof typeof special] : null;

function pathOf(url: string): string | null {
  if (url.startsWith("/")) return url;
  if (!url.startsWith("file://")) return null;
  try {
    return decodeURIComponent(url.slice("file://".length).replace(/[?#].*$/, ""));
  } catch {
    return null;
  }
}

/** `roots`: the worktree, by every path it has. What lies outside it is not the target's, whoever wrote it. */
function placeOf({ url, line }: Frame, roots: readonly string[]): Place {
  const path = pathOf(url);
  if (path === null) {
    const where = url === "" ? null : `${url}:${line}`;
    return { origin: "runtime", where, inside: false };
  }
  const root = roots.find((each) => path.startsWith(`${each}/`));
  const short = root === undefined ? path : path.slice(root.length + 1);
  const own = root !== undefined && !short.includes("node_modules/");
  return { origin: own ? "target" : "dependency", where: `${short}:${line}`, inside: root !== undefined };
}

const nameOf = ({ name, line, column }: Frame): string =>
  name || (line === 1 && column === 1 ? "(top level)" : "(anonymous)");

type Seen = { node: StackNode; place: Place; kind: Special | null };

/** Every node with its place, and the nearest place of the target's own on its stack. */
function look(profile: CpuProfile, roots: readonly string[]) {
  const seen = new Map<StackNode, Seen>();
  for (const node of profile.nodes)
    seen.set(node, { node, place: placeOf(node.frame, roots), kind: specialOf(node.frame) });
  const inside = new Map<StackNode, boolean>();
  const entered = new Map<StackNode, string | null>();
  const visit = (node: StackNode): void => {
    const trail: StackNode[] = [];
    let at: StackNode | null = node;
    while (at && !inside.has(at)) {
      trail.push(at);
      at = at.parent;
    }
    for (const each of trail.reverse()) {
      const { place } = seen.get(each) as Seen;
      const { parent } = each;
      inside.set(each, place.inside || (parent !== null && inside.get(parent) === true));
      entered.set(each, place.origin === "target" ? place.where : parent && (entered.get(parent) ?? null));
    }
  };
  for (const node of profile.nodes) visit(node);
  return { seen: [...seen.values()], isInside: (node: StackNode) => inside.get(node) === true, entered };
}

type Sums = {
  functions: Map<string, SelfTime & { ways: Map<string, number> }>;
  waited: number;
} & Record<Special, number>;

function addFunction(sums: Sums, { node, place }: Seen, from: string | null): void {
  const name = nameOf(node.frame);
  const key = `${name}\0${place.where ?? ""}\0${node.frame.column}`;
  const known = sums.functions.get(key);
  const one = known ?? { name, where: place.where, origin: place.origin, from: null, us: 0, ways: new Map() };
  one.us += node.selfUs;
  if (place.origin !== "target" && from !== null) one.ways.set(from, (one.ways.get(from) ?? 0) + node.selfUs);
  if (!known) sums.functions.set(key, one);
}

/** The time of all profiles by function; with `onlyInside`, of what has a file of the worktree on its stack, and of GC. */
function sum(profiles: readonly CpuProfile[], roots: readonly string[], onlyInside: boolean): Sums {
  const sums: Sums = { functions: new Map(), waited: 0, gc: 0, native: 0, idle: 0, root: 0 };
  for (const profile of profiles) {
    const { seen, isInside, entered } = look(profile, roots);
    if (onlyInside && !profile.nodes.some((node) => node.selfUs > 0 && isInside(node))) continue;
    for (const each of seen) {
      const { node, kind } = each;
      if (kind === "idle") sums.waited += node.selfUs;
      if (kind !== null) sums[kind] += onlyInside && kind !== "gc" ? 0 : node.selfUs;
      else if (!onlyInside || isInside(node)) addFunction(sums, each, entered.get(node) ?? null);
    }
  }
  return sums;
}

const order = (a: SelfTime, b: SelfTime): number =>
  b.us - a.us || compare(a.where ?? "", b.where ?? "") || compare(a.name, b.name);
const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

const mainWay = (ways: ReadonlyMap<string, number>): string | null =>
  [...ways].sort(([a, x], [b, y]) => y - x || compare(a, b))[0]?.[0] ?? null;

/**
 * Splits the profiles' time on `basis` (see `Analysis.basis`); null when they hold none. Where nothing of the worktree
 * was seen running, `program` falls back to `cpu`. A second process at the same time can make the busy time more than
 * the wall's; the whole is the larger one, so that shares never add up to more than 1.
 */
export function splitTime(
  profiles: readonly CpuProfile[],
  roots: readonly string[],
  basis: TimeSplit["basis"],
): TimeSplit | null {
  const sums = sum(profiles, roots, basis === "program");
  const functions = [...sums.functions.values()]
    .map(({ ways, ...each }) => ({ ...each, from: mainWay(ways) }))
    .filter((each) => each.us > 0)
    .sort(order);
  const busyUs = functions.reduce((total, each) => total + each.us, 0) + sums.gc + sums.native;
  const longestUs = basis === "wall" ? Math.max(0, ...profiles.map((each) => each.durationUs)) : 0;
  const totalUs = Math.max(busyUs, longestUs);
  if (!(totalUs > 0)) return basis === "program" ? splitTime(profiles, roots, "cpu") : null;
  const { gc: gcUs, native: nativeUs } = sums;
  const waitUs = basis === "program" ? sums.waited : 0;
  return { basis, totalUs, functions, gcUs, nativeUs, idleUs: totalUs - busyUs, waitUs };
}
