import type { ExplainedPair, ExplainedSamples, FreshSeries, Rules } from "@questbus/core";
import { type Markup, markup } from "./markup.ts";
import { pageStyle } from "./page-style.ts";
import { evidencePlot, gainPlot } from "./plot-pairs.ts";
import { distributionPlot, effectPlot, spreads } from "./plot-values.ts";
import {
  change,
  columnFigure,
  comparison,
  effectRows,
  evidence,
  figure,
  foundLines,
  guardWords,
  oneLine,
  outsideLines,
  recomputeLines,
  ruleLines,
  stopLine,
  type View,
} from "./words.ts";

/** How a page says that this command made it; such a page may be replaced. */
export const generator = '<meta name="generator" content="questbus verdict explain">';

type Cell = string | number;

const table = (caption: string, head: readonly string[], rows: readonly (readonly Cell[])[]): Markup =>
  markup`<div class="scroll"><table><caption>${caption}</caption>
<thead><tr>${head.map((each) => markup`<th scope="col">${each}</th>`)}</tr></thead>
<tbody>${rows.map(
    (row) => markup`<tr>${row.map((cell) => markup`<td>${cell}</td>`)}</tr>
`,
  )}</tbody></table></div>`;

const closed = (summary: string, content: Markup): Markup =>
  markup`<details><summary>${summary}</summary>${content}</details>`;

const figureOf = (title: string, said: string, picture: Markup, figures: Markup): Markup => markup`<section>
<h2>${title}</h2>
<p>${said}</p>
<figure><div class="scroll">${picture}</div></figure>
${figures}
</section>
`;

const facts = (lines: readonly (readonly [string, string])[]): Markup =>
  markup`<dl>${lines.map(
    ([name, text]) => markup`<div><dt>${oneLine(name)}</dt><dd>${oneLine(text)}</dd></div>
`,
  )}</dl>`;

function runCells(pairs: readonly ExplainedPair[]): Cell[][] {
  const value = columnFigure(pairs.flatMap(({ base, candidate }) => [base.value, candidate.value]));
  return pairs.map(({ n, first, base, candidate, gain }) => [
    n,
    first,
    value(base.value),
    value(candidate.value),
    change(gain),
  ]);
}

const runHead = (rules: Rules): string[] => {
  const unit = rules.metric.unit ? ` (${rules.metric.unit})` : "";
  return ["pair", "ran first", `base${unit}`, `candidate${unit}`, "gain"];
};

function gainSection(samples: ExplainedSamples, rules: Rules): Markup {
  const guards = rules.guards.map(({ name }) => `${name} worse`);
  const runs = runCells(samples.pairs);
  const rows = samples.pairs.map((pair, at) => [
    ...(runs[at] as Cell[]),
    ...pair.guards.map(({ worsening }) => change(worsening)),
  ]);
  return figureOf(
    "Pairs",
    stopLine(samples, rules),
    gainPlot(samples, rules),
    closed(
      "Figures: each pair",
      table("Candidate against last known-good", [...runHead(rules), ...guards], rows),
    ),
  );
}

function evidenceSection(samples: ExplainedSamples, rules: Rules): Markup {
  const rows = samples.pairs.map((pair) => [
    pair.n,
    evidence(pair.e),
    evidence(pair.eFutility),
    ...pair.guards.map(({ e, state }) => (state ? `${state} (${evidence(e)})` : "-")),
  ]);
  const head = [
    "pair",
    "E for a gain",
    "E for futility",
    ...rules.guards.map(({ name }) => `guard ${name} (E)`),
  ];
  return figureOf(
    "Evidence",
    `Without a gain above the margin, E reaches ${figure(rules.bound)} in at most ${figure(rules.alpha * 100)} of 100 passes, however often it is looked at.`,
    evidencePlot(samples, rules),
    closed("Figures: E after each pair", table("Evidence after each pair", head, rows)),
  );
}

function valueSection(samples: ExplainedSamples, rules: Rules): Markup | null {
  const arms = spreads(samples);
  if (arms.length === 0) return null;
  const rows = arms.map(({ name, values, min, q1, median, q3, max }) => [
    name,
    values.length,
    ...[min, q1, median, q3, max].map((value) => figure(value, rules.metric.unit)),
  ]);
  return figureOf(
    "Base and candidate",
    "Each run of the deciding pairs as a dot; the box holds the middle half, the line in it is the median.",
    distributionPlot(arms, rules),
    table("Runs", ["arm", "runs", "least", "lower quarter", "median", "upper quarter", "most"], rows),
  );
}

const freshTable = (caption: string, series: FreshSeries | null, rules: Rules): Markup | null =>
  series && series.pairs.length > 0
    ? closed(`Figures: ${caption}`, table(caption, runHead(rules), runCells(series.pairs)))
    : null;

function effectSection(samples: ExplainedSamples, rules: Rules): Markup | null {
  const rows = effectRows(samples);
  if (!rows.some(({ effect }) => effect !== null)) return null;
  const said =
    samples.confirmation.effect === null
      ? "No fresh pairs were measured: they are taken after a gain was proven."
      : "The pairs that decided may flatter the candidate: they stopped at a good moment. The reported gain comes from fresh pairs.";
  const cells = rows.map(({ name, effect, counted, reported }) => [
    name,
    counted,
    ...(effect ? [effect.estimate, effect.low, effect.high].map(change) : ["too few", "-", "-"]),
    reported ? "yes" : "no",
  ]);
  const figures = markup`${table("Gain, with its 95 % interval", ["over", "pairs", "gain", "from", "to", "reported"], cells)}
${freshTable("Fresh pairs against last known-good", samples.confirmation, rules)}
${freshTable("Fresh pairs against the quest's base", samples.total, rules)}
${freshTable("Measured again in fresh trees", samples.remeasure, rules)}`;
  return figureOf("Gain", said, effectPlot(rows, rules), figures);
}

const guardSection = (samples: ExplainedSamples, rules: Rules): Markup | null =>
  samples.guards.length > 0
    ? markup`<section><h2>Guards</h2>${facts(samples.guards.map((each) => [each.name, guardWords(each, rules)] as const))}</section>
`
    : null;

const sampleSections = (samples: ExplainedSamples, rules: Rules): Markup => markup`
${samples.fault ? markup`<p class="alarm">The evidence is not as recorded. ${samples.fault}</p>` : null}
${gainSection(samples, rules)}
${evidenceSection(samples, rules)}
${valueSection(samples, rules)}
${effectSection(samples, rules)}
${guardSection(samples, rules)}
<section><h2>Seen from outside</h2>${facts(outsideLines(samples))}</section>`;

function sourceSection(view: View): Markup {
  const { samples, artifacts, candidate, lastGood } = view.pass;
  const sources: [string, string][] = [
    ...(samples ? [["seed of the pairs", samples.seed] as [string, string]] : []),
    ...(samples?.workloadKey ? [["key of the workloads", samples.workloadKey] as [string, string]] : []),
    ["last known-good", `tree ${lastGood.tree}`],
    ...(candidate ? [["candidate", `tree ${candidate.tree}`] as [string, string]] : []),
    ...artifacts.map(({ task, kind, sha256 }): [string, string] => [`${kind} (${task})`, sha256]),
  ];
  return markup`<section><h2>Evidence and how to compute it again</h2>
${facts(sources)}
<p>An artifact is named by the SHA-256 of its content. Pair n (from 1) runs the base first where the first byte of sha256(seed:n−1) is below 128. The verdict is a function of the
stored evidence alone; these commands compute it again, and check that nobody rewrote the journal:</p>
<pre>${recomputeLines(view).map(oneLine).join("\n")}</pre></section>
`;
}

function header(view: View): Markup {
  const { quest, title, passes, pass } = view;
  const about = [
    `quest ${quest}`,
    `pass ${pass.pass} of ${passes}`,
    ...(pass.fixer ? [`fixer ${oneLine(pass.fixer)}`] : []),
  ];
  return markup`<header>
<p class="about">${about.join(" · ")}</p>
<h1>${oneLine(title)}</h1>
<p class="verdict">${pass.stored?.verdict ?? "not judged"}</p>
<ul>${(pass.stored?.reasons ?? []).map((reason) => markup`<li>${oneLine(reason)}</li>`)}</ul>
<p class="${pass.same === false ? "alarm" : "about"}">${comparison(pass)}.</p>
</header>
`;
}

/** The explanation of a pass as one page that needs nothing else: no network, no script. */
export function explanationPage(view: View): string {
  const { pass } = view;
  const content = markup`${header(view)}
${pass.samples ? markup`<section><h2>Rules</h2>${facts(ruleLines(pass.rules))}</section>` : null}
${pass.samples ? sampleSections(pass.samples, pass.rules) : markup`<p>Nothing was measured in this pass.</p>`}
<section><h2>What else was found</h2>${facts(foundLines(pass))}</section>
${sourceSection(view)}`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
${generator}
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
${markup`<title>${pass.stored?.verdict ?? "Pass"}: ${oneLine(view.title)}</title>`.markup}
<style>${pageStyle}</style>
</head>
<body>
<main>
${content.markup}
</main>
</body>
</html>
`;
}
