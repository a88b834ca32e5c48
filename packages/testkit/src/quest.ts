import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Place } from "./place.ts";

type Tree = { [key: string]: unknown };

/** The quest that the other tests change a little: 20 % fewer steps. */
const plain = {
  version: 1,
  title: "Fewer steps",
  intent: "optimize",
  target: { repo: "./target", ref: "HEAD" },
  measure: {
    command: "sh bench.sh",
    metric: { name: "steps", from: "metric-line", unit: "steps", better: "lower" },
    timeout: "20s",
  },
  goal: { improveBy: "20%", margin: "1%" },
  tests: { command: "sh test.sh", timeout: "20s" },
  guards: [{ name: "cells", from: "metric-line", worseBy: "10%" }],
  fixers: [],
  budget: { passes: 3, pairs: 60, wallClock: "10m" },
  authorities: { performance: { write: ["src/**"], never: ["test/**", "*.sh"] } },
  onAccept: { branch: "questbus/{quest}", changelog: "CHANGELOG.md" },
} as const;

const isTree = (value: unknown): value is Tree =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** `over` laid on `under`, map by map; undefined removes a key. */
function laid(under: Tree, over: Tree): Tree {
  const result: Tree = { ...under };
  for (const [key, value] of Object.entries(over)) {
    const below = result[key];
    if (value === undefined) delete result[key];
    else result[key] = isTree(value) && isTree(below) ? laid(below, value) : value;
  }
  return result;
}

/** Writes a quest file in `place`; what `overrides` says is laid on the plain quest. Gives the file's path. */
export function writeQuest(place: Place, overrides: Tree, name = "quest.json"): string {
  const file = join(place.dir, name);
  writeFileSync(file, `${JSON.stringify(laid(plain, overrides), null, 2)}\n`);
  return file;
}
