import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { evidenceMatrix, type MatrixRow, type QuestState, stageReports } from "@questbus/core";
import { exitCode, percent, signedPercent } from "@questbus/protocol";
import { newestQuest, questState } from "./journal-view.ts";
import { printable, printData, printJson, table, textLines } from "./output.ts";
import { withStore } from "./session.ts";
import { reportsDir } from "./state-dir.ts";

const effectText = (effect: MatrixRow["effect"]): string =>
  effect
    ? `${signedPercent(effect.estimate)} (${signedPercent(effect.low)} to ${signedPercent(effect.high)})`
    : "-";

const guardText = (row: MatrixRow): string =>
  row.guards.map((each) => `${each.name} ${each.state}`).join(", ") || "-";
const votes = (row: MatrixRow): string =>
  Object.entries(row.signOffs)
    .map(([role, vote]) => `${role} ${vote}`)
    .join(", ") || "-";

const head = [
  "pass",
  "fixer",
  "verdict",
  "effect (95 % interval)",
  "pairs",
  "E",
  "tests",
  "guards",
  "sign-offs",
] as const;

const cells = (row: MatrixRow): string[] => [
  String(row.pass),
  row.fixer ?? "-",
  row.verdict ?? "-",
  effectText(row.effect),
  String(row.pairs),
  row.e === null ? "-" : row.e.toPrecision(3),
  row.tests ?? "-",
  guardText(row),
  votes(row),
];

/** The evidence matrix for a terminal, with what the arbiter may rule. */
export function matrixLines(state: QuestState, stateDir: string): string[] {
  const { rows, options } = evidenceMatrix(state);
  const narrow = rows.map((row) => cells(row).slice(0, 7));
  const details = rows.flatMap((row) => [
    ...textLines(`  pass ${row.pass}: ${row.reason}`, "      "),
    `    guards: ${guardText(row)}; sign-offs: ${votes(row)}`,
    `    evidence: ${row.artifacts.map((each) => `${each.kind} ${each.sha256.slice(0, 12)}`).join(", ") || "none"}`,
  ]);
  const rulings = options.map(
    (each) => `  ${each.decision.padEnd(8)} ${each.allowed ? "  " : "✗ "}${each.why}`,
  );
  const files = `  a hash abcd... names the file ${join(stateDir, "artifacts", "ab", "cd...")}`;
  const rulingLines = state.status === "escalated" ? ["", "what an arbiter can rule:", ...rulings] : [];
  return [...table(head.slice(0, 7), narrow), "", ...details, files, ...rulingLines];
}

const marks = { done: "✓", now: "▸", open: " ", failed: "✗", stopped: "■" };

/** The four stages for a terminal, with what each produced. */
export function stageLines(state: QuestState, watches: readonly QuestState[]): string[] {
  const lines = stageReports(state, watches).flatMap(({ stage, state: how, produced, artifacts }, at) => [
    `${marks[how]} ${at + 1} ${stage}`,
    ...produced.flatMap((line) => textLines(`      ${line}`, "        ")),
    ...artifacts
      .filter(({ kind }) => kind === "profile" || kind === "analysis")
      .map(({ kind, sha256 }) => `      ${kind} ${sha256.slice(0, 12)}`),
  ]);
  return ["stages:", ...lines];
}

const escaped = (text: string): string => text.replaceAll("|", "\\|").replaceAll("\n", " ");
const row = (each: readonly string[]): string => `| ${each.map(escaped).join(" | ")} |`;

/** The quest's report in Markdown, from stored evidence only, fit for a terminal. */
const reportMarkdown = (state: QuestState): string =>
  reportLines(state)
    .flatMap((line) => textLines(line, "  "))
    .map(printable)
    .join("\n")
    .trimEnd();

function reportLines(state: QuestState): string[] {
  const { rows } = evidenceMatrix(state);
  const { spec } = state;
  const goal = spec.goal.improveBy === null ? "any proven gain" : `${percent(spec.goal.improveBy)} better`;
  const ended = state.ending
    ? `${state.ending.ending}: ${state.ending.reason}`
    : `waits: ${state.escalation?.detail ?? state.status}`;
  const accepted = state.accepted
    ? [`- Accepted: branch \`${state.accepted.branch}\`, commit \`${state.accepted.commit}\``]
    : [];
  const ruling = state.escalation?.ruling;
  const ruled = ruling ? [`- Ruling: ${ruling.decision}, by ${ruling.by}: ${ruling.reason}`] : [];
  return [
    `# ${spec.title}`,
    "",
    `- Quest: \`${state.id}\`, intent ${spec.intent}`,
    `- Target: \`${spec.target.repo}\`, base commit \`${state.base.commit}\``,
    `- Measure: \`${spec.measure.command}\`, metric ${spec.measure.metric.name} (${spec.measure.metric.better} is better)`,
    `- Goal: ${goal}, margin ${percent(spec.goal.margin)}`,
    `- Outcome: ${ended}`,
    ...accepted,
    ...ruled,
    "",
    `Why: \`questbus verdict explain ${state.id}\` shows every pair, and where the evidence stopped.`,
    "",
    "## Stages",
    "",
    ...stageReports(state).flatMap(({ stage, state: how, produced }) => [
      `- ${stage}: ${how}`,
      ...produced.map((line) => `  - ${line}`),
    ]),
    "",
    "## Passes",
    "",
    row(head),
    row(head.map(() => "---")),
    ...rows.map((each) => row(cells(each))),
    "",
    ...rows.flatMap((each) => [
      `### Pass ${each.pass}: ${each.verdict ?? "not judged"}`,
      "",
      ...(state.passes[each.pass - 1]?.verdict?.reasons ?? []).map((reason) => `- ${reason}`),
      "",
      ...(state.passes[each.pass - 1]?.findings ?? []).map(
        (found) => `- ${found.role}, ${found.task}: ${found.summary}`,
      ),
      "",
      `Evidence: ${each.artifacts.map((one) => `${one.kind} \`${one.sha256}\``).join(", ") || "none"}`,
      "",
    ]),
  ];
}

/** `questbus report [ID]`: of one quest, or the newest; from the journal, so that there is one of each at any time. */
export function showReport(
  named: string | undefined,
  { state: dir, json }: { state: string; json: boolean },
): number {
  return withStore(dir, (store) => {
    const state = questState(store, named ?? newestQuest(store));
    const report = reportMarkdown(state);
    if (json) printJson({ quest: state.id, report });
    else printData(...report.split("\n"));
    return exitCode.ok;
  });
}

/** Writes the report beside the state, and answers with its path. */
export function writeReport(stateDir: string, state: QuestState): string {
  const dir = reportsDir(stateDir);
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const path = join(dir, `${state.id}.md`);
  writeFileSync(path, `${reportMarkdown(state)}\n`);
  return path;
}
