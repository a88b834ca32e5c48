import { normaliseQuest, type QuestSpec, questDocument } from "@questbus/protocol";
import type { SealRules } from "../../src/seal/sealed-path.ts";

type Part = {
  measure?: { command: string };
  tests?: { command: string };
  target?: { prepare: string };
  seal?: Partial<QuestSpec["seal"]>;
  allow?: QuestSpec["allow"];
  write?: string[];
  /** The texts of package.json files, by path. */
  packages?: Record<string, object>;
};

/** The rules of a small quest, with some of them replaced. */
export function rules(part: Part = {}): SealRules {
  const written = {
    version: 1,
    title: "Faster",
    target: { repo: ".", ...part.target },
    measure: { command: "node run.mjs", metric: { name: "p95", from: "wall-time" }, ...part.measure },
    goal: { improveBy: "5%" },
    tests: { command: "node check.mjs", ...part.tests },
    fixers: [{ patch: "a.patch" }],
    seal: part.seal,
    allow: part.allow,
    authorities: part.write && { performance: { write: part.write } },
  };
  const spec = normaliseQuest(questDocument.parse(written), [{ name: "a.patch", sha256: "0".repeat(64) }]);
  const packages = Object.entries(part.packages ?? {}).map(([path, json]) => ({
    path,
    text: JSON.stringify(json),
  }));
  return { ...spec, packages };
}
