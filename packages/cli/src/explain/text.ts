import type { ExplainedPair, ExplainedPass, ExplainedSamples, FreshSeries, Rules } from "@questbus/core";
import type { VerdictWord } from "@questbus/protocol";
import { paint, type Style } from "../output.ts";
import { textPlot } from "./text-plot.ts";
import {
  change,
  columnFigure,
  comparison,
  effectRows,
  evidence,
  foundLines,
  guardWords,
  interval,
  oneLine,
  outsideLines,
  recomputeLines,
  ruleLines,
  stopLine,
  type View,
} from "./words.ts";

const nameWidth = 20;

/** `text` in lines of at most `width`, broken at spaces, and within a word only where it is longer than a line. */
function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  const pieces = new RegExp(`[^ ]{1,${width}}`, "g");
  for (const word of text.match(pieces) ?? []) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= width)
      lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}

/** A name in its column and what is said of it beside; a name too long for its column has a line of its own. */
function entry(name: string, text: string, columns: number, style: Style = "dim"): string[] {
  const lines = wrap(oneLine(text), columns - nameWidth - 4).map(
    (line) => `  ${" ".repeat(nameWidth)}  ${line}`,
  );
  const [first = "", ...rest] = lines;
  const named = oneLine(name);
  if (named.length > nameWidth) return [`  ${paint(style, named)}`, ...lines];
  return named ? [`  ${paint(style, named.padEnd(nameWidth))}${first.slice(nameWidth + 2)}`, ...rest] : lines;
}

const section = (title: string, lines: readonly string[]): string[] =>
  lines.length > 0 ? ["", paint("bold", title), ...lines] : [];

const good: readonly VerdictWord[] = ["ACCEPT", "KEEP"];

function headLines({ quest, title, passes, pass }: View, columns: number): string[] {
  const { stored, candidate, fixer, same } = pass;
  const word = stored?.verdict ?? "not judged";
  const style = stored && good.includes(stored.verdict) ? "green" : "yellow";
  const [reason = "", ...more] = stored?.reasons ?? [];
  const about = [
    `pass ${pass.pass} of ${passes}`,
    ...(fixer ? [`fixer ${oneLine(fixer)}`] : []),
    ...(candidate ? [`candidate tree ${candidate.tree.slice(0, 12)}`] : []),
  ];
  return [
    `${paint("bold", quest)}  ${oneLine(title)}`,
    ...wrap(about.join(", "), columns),
    "",
    ...entry(word, reason, columns, ["bold", style]),
    ...more.flatMap((each) => entry("", each, columns)),
    ...entry("", comparison(pass), columns).map((line) =>
      paint(same === false ? ["bold", "red"] : "dim", line),
    ),
  ];
}

/** The verdict in one line. */
export const headline = ({ quest, pass: { pass, stored } }: View): string =>
  `${paint("bold", quest)}  pass ${pass}: ${stored ? oneLine(`${stored.verdict}: ${stored.reasons[0] ?? ""}`) : "not judged"}`;

/** Columns of figures, each flush right. */
function grid(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const width = head.map((title, at) => Math.max(title.length, ...rows.map((row) => row[at]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    `  ${cells.map((cell, at) => cell.padStart(width[at] ?? 0)).join("  ")}`;
  return [paint("dim", line(head)), ...rows.map(line)];
}

const widthOf = (head: readonly string[], rows: readonly (readonly string[])[]): number =>
  head.reduce(
    (sum, title, at) => sum + 2 + Math.max(title.length, ...rows.map((row) => row[at]?.length ?? 0)),
    0,
  );

/** What was run, in values that line up. */
function runCells(pairs: readonly ExplainedPair[]): string[][] {
  const value = columnFigure(pairs.flatMap(({ base, candidate }) => [base.value, candidate.value]));
  return pairs.map(({ n, first, base, candidate, gain }) => [
    String(n),
    first,
    value(base.value),
    value(candidate.value),
    change(gain),
  ]);
}
const runsHead = ["pair", "ran first", "base", "candidate", "gain"];

/** The deciding pairs, with as many guards as the terminal has room for. */
function pairTable({ pairs }: ExplainedSamples, { guards }: Rules, columns: number): string[] {
  const runs = runCells(pairs);
  const cells = pairs.map((pair, at) => [
    ...(runs[at] as string[]),
    evidence(pair.e),
    evidence(pair.eFutility),
    ...pair.guards.map(({ worsening }) => change(worsening)),
  ]);
  const head = [...runsHead, "E", "futility", ...guards.map(({ name }) => name)];
  let shown = head.length;
  while (shown > 7 && widthOf(head.slice(0, shown), cells) > columns) shown -= 1;
  const left = head.slice(shown);
  return [
    ...grid(
      head.slice(0, shown),
      cells.map((row) => row.slice(0, shown)),
    ),
    ...(guards.length > left.length ? ["  a guard's column: how much worse it was in the pair"] : []),
    ...(left.length > 0
      ? wrapped(`no room for ${left.join(", ")}: see --json, or --html FILE`, columns)
      : []),
  ];
}

const wrapped = (text: string, columns: number): string[] =>
  wrap(oneLine(text), columns - 2).map((line) => `  ${line}`);

function effectLines(samples: ExplainedSamples, columns: number): string[] {
  return effectRows(samples).flatMap(({ name, effect, counted, reported }) => {
    const text = effect
      ? `${change(effect.estimate)} (${interval(effect)}) over ${counted} pairs`
      : "too few pairs for an estimate";
    return entry(name, `${text}${effect && reported ? ", reported" : ""}`, columns);
  });
}

const freshLines = (series: FreshSeries | null): string[] =>
  series && series.pairs.length > 0 ? grid(runsHead, runCells(series.pairs)) : [];

function sampleLines(samples: ExplainedSamples, rules: Rules, columns: number): string[] {
  const { metric } = rules;
  const unit = metric.unit ? `, ${metric.name} in ${metric.unit}` : `, ${metric.name}`;
  const path = textPlot(samples, rules, columns);
  const key = `  ${paint("cyan", "●")} E for a gain above the margin   ${paint("yellow", "○")} E for futility`;
  return [
    ...section(`Pairs that decide${unit}`, pairTable(samples, rules, columns)),
    ...section("E after each pair", path.length > 0 ? [...path, key] : []),
    "",
    ...wrapped(stopLine(samples, rules), columns),
    ...(samples.fault ? wrapped(`The evidence is not as recorded. ${samples.fault}`, columns) : []),
    ...section("Gain", effectLines(samples, columns)),
    ...section("Fresh pairs against last known-good", freshLines(samples.confirmation)),
    ...section("Fresh pairs against the quest's base", freshLines(samples.total)),
    ...section("Measured again in fresh trees", freshLines(samples.remeasure)),
    ...section("Seen from outside", entries(outsideLines(samples), columns)),
    ...section(
      "Guards",
      samples.guards.flatMap((each) => entry(each.name, guardWords(each, rules), columns)),
    ),
  ];
}

function sourceLines(view: View, columns: number): string[] {
  const { samples, artifacts } = view.pass;
  return [
    ...(samples ? entry("seed", samples.seed, columns) : []),
    ...(samples?.workloadKey ? entry("key of workloads", samples.workloadKey, columns) : []),
    ...artifacts.flatMap(({ task, kind, sha256 }) =>
      entry(kind, `${sha256.slice(0, 16)} (${task})`, columns),
    ),
    "",
    "  compute it again:",
    ...recomputeLines(view).map((line) => `  ${oneLine(line)}`),
  ];
}

const entries = (pairs: readonly (readonly [string, string])[], columns: number): string[] =>
  pairs.flatMap(([name, text]) => entry(name, text, columns));

/** The explanation of a pass for a terminal of `columns`. */
export function explanationLines(view: View, columns: number): string[] {
  const pass: ExplainedPass = view.pass;
  return [
    ...headLines(view, columns),
    ...(pass.samples
      ? [
          ...section("Rules", entries(ruleLines(pass.rules), columns)),
          ...sampleLines(pass.samples, pass.rules, columns),
        ]
      : ["", "  Nothing was measured in this pass."]),
    ...section("What else was found", entries(foundLines(pass), columns)),
    ...section("Evidence", sourceLines(view, columns)),
  ];
}
