import type { Grant, Report } from "@questbus/protocol";
import { oid, type PassScript, scriptedReport } from "@questbus/testkit/scripted-report";

/** What happens in a quest of a fault run. Its title begins with one of these names, so that any agent finds it there. */
type Scenario = {
  pass: (pass: number) => PassScript;
  /** Nobody ever reports its gate, so that its time runs out. */
  hangs?: true;
};

const scenarios = {
  "a gain at once": { pass: () => ({}) },
  "a gain in the second pass": { pass: (pass) => (pass === 1 ? { suite: "red" } : {}) },
  "a kept gain, then the goal": { pass: (pass) => (pass === 1 ? { gain: 0.12 } : { gain: 0.2 }) },
  "nothing in any pass": { pass: () => ({ gain: 0 }) },
  "an edit of what is forbidden": { pass: (pass) => (pass === 1 ? { forbiddenPaths: ["test/a.js"] } : {}) },
  "a task that cannot be done": { pass: (pass) => (pass === 1 ? { faults: { suite: "BENCH_FAILED" } } : {}) },
  "no time left": { pass: () => ({}), hangs: true },
} as const satisfies Record<string, Scenario>;

export type ScenarioName = keyof typeof scenarios;
export const scenarioNames = Object.keys(scenarios) as ScenarioName[];
/** Those that end by what their agents report. */
export const endingScenarios = scenarioNames.filter((name) => !("hangs" in scenarios[name]));

/** The report of that grant in the scenario of its quest; null: nobody reports it. */
export function reportIn(grant: Grant): Report | null {
  const { spec, task, pass, findings } = grant.brief;
  const scenario: Scenario = scenarios[spec.title.split(":")[0] as ScenarioName];
  if (scenario.hangs && task === "gate") return null;
  const script: PassScript = {
    ...(spec.allow.dependencies === "ask" ? withDependency(grant) : {}),
    ...scenario.pass(pass),
  };
  // Of a candidate that was not taken, the next one is another.
  const isAgain = findings.some((found) => found.task === "produce");
  return scriptedReport(grant, isAgain ? { ...script, forbiddenPaths: [] } : script);
}

/** The candidate brings a dependency, and is the same in each pass until something was kept. */
const withDependency = ({ brief: { quest, lastGood } }: Grant): PassScript => ({
  tree: oid(`tree with a dependency of ${quest} on ${lastGood.tree}`),
  touched: [
    { path: "package.json", oid: oid("package.json"), before: "{}", after: '{"dependencies":{"fast":"1"}}' },
  ],
});
