import type { ExplainedPair, ExplainedSamples, Rules } from "@questbus/core";
import { percent } from "@questbus/protocol";
import type { Markup } from "./markup.ts";
import { beyond, dot, frame, label, line, path, plot, spread, xAxis, yAxis } from "./plot.ts";
import { bulk, linearScale, logScale, type Scale, widened } from "./scale.ts";
import { change, evidence, figure, tickText } from "./words.ts";

/** The two plots over the pairs: how much each gained, and what the evidence came to after it. */

const height = 380;
const bottom = height - 62;

/** One place a pair, with whole numbers below. */
function pairScale(count: number): Scale {
  const scale = linearScale([0.5, Math.max(count, 2) + 0.5], [frame.left + 6, frame.right - 6], 8);
  return { ...scale, ticks: scale.ticks.filter((tick) => Number.isInteger(tick) && tick >= 1) };
}

/** More marks than these hide the path that they stand on. */
const marksMax = 120;

const radiusFor = (count: number): number => (count > 300 ? 1.8 : count > 120 ? 2.6 : 4.2);

/** Names of level lines at the right edge, each beside its line and none over another. */
function levelNames(levels: readonly { y: number; name: string }[]): Markup[] {
  const places = spread(
    levels.map(({ y }) => y + 4),
    15,
  );
  return levels.map(({ name }, at) =>
    label(frame.right + 8, places[at] as number, name, "start", "level-name"),
  );
}

function pairMark(pair: ExplainedPair, x: Scale, y: Scale, radius: number): Markup | null {
  const { n, gain, first } = pair;
  if (gain === null) return null;
  const hint = `pair ${n}: ${change(gain)}, ${first} ran first`;
  if (gain > y.high) return beyond(x.at(n), y.at(y.high) + 6, "up", hint);
  if (gain < y.low) return beyond(x.at(n), y.at(y.low) - 6, "down", hint);
  const style = pair.e === null ? "uncounted" : first === "base" ? "base-first" : "candidate-first";
  return dot(x.at(n), y.at(gain), radius, style, hint);
}

/** The gain of each pair; hollow where the base ran first, filled where the candidate did. */
export function gainPlot({ pairs, stop }: ExplainedSamples, { margin, improveBy }: Rules): Markup {
  const gains = pairs.flatMap(({ gain }) => gain ?? []);
  const levels = [
    { value: 0, name: "0: no change", style: "zero" },
    { value: margin, name: `${percent(margin)}: margin`, style: "margin" },
    ...(improveBy === null ? [] : [{ value: improveBy, name: `${percent(improveBy)}: goal`, style: "goal" }]),
  ];
  const [low, high] = gains.length > 0 ? bulk(gains) : [0, margin];
  const values = levels.map(({ value }) => value);
  const y = linearScale(widened([Math.min(low, ...values), Math.max(high, ...values)]), [bottom, frame.top]);
  const x = pairScale(pairs.length);
  const drawn = levels.map(({ value, name, style }) => ({ y: y.at(value), name, style }));
  return plot(
    "gains",
    {
      title: "Gain of each pair",
      description: `${pairs.length} pairs; ${gains.filter((gain) => gain > margin).length} gained more than the margin of ${percent(margin)}. The figures are in the table below.`,
    },
    height,
    [
      ...yAxis(y, "gain", tickText),
      ...xAxis(x, bottom, "pair, in the order measured", String),
      ...drawn.map((each) => line(frame.left, each.y, frame.right, each.y, each.style)),
      ...levelNames(drawn),
      stop.pairs > 0 && stop.pairs < pairs.length
        ? line(x.at(stop.pairs + 0.5), frame.top, x.at(stop.pairs + 0.5), bottom, "stop")
        : null,
      ...pairs.map((pair) => pairMark(pair, x, y, radiusFor(pairs.length))),
      dot(frame.left + 80, 14, 4.2, "base-first"),
      label(frame.left + 90, 18, "base ran first", "start", "key"),
      dot(frame.left + 200, 14, 4.2, "candidate-first"),
      label(frame.left + 210, 18, "candidate ran first", "start", "key"),
      ...(gains.some((gain) => gain > y.high || gain < y.low)
        ? [
            beyond(frame.left + 360, 14, "up", "beyond the axis"),
            label(frame.left + 370, 18, "beyond the axis", "start", "key"),
          ]
        : []),
    ],
  );
}

/** Below this the evidence is drawn at the lower edge: how far below 1 says nothing more. */
const eMin = 0.01;

/** The evidence after each pair, for a gain and for futility, on a logarithmic axis with the bounds of both. */
export function evidencePlot({ pairs, stop }: ExplainedSamples, { bound, futilityBound }: Rules): Markup {
  const counted = pairs.filter((pair) => pair.e !== null);
  const all = counted.flatMap(({ e, eFutility }) => [e ?? 1, eFutility ?? 1]);
  const y = logScale(
    [Math.max(eMin, Math.min(0.5, ...all)) * 0.8, Math.max(bound, ...all) * 1.8],
    [bottom, frame.top],
  );
  const x = pairScale(counted.length);
  const place = (e: number | null): number => y.at(Math.max(e ?? 1, eMin));
  const levels = [
    { y: y.at(bound), name: `${figure(bound)}: gain proven`, style: "goal" },
    { y: y.at(futilityBound), name: `${figure(futilityBound)}: dropped`, style: "margin" },
    { y: y.at(1), name: "1: no evidence", style: "zero" },
  ];
  const radius = counted.length > marksMax ? 0 : radiusFor(counted.length) * 0.8;
  const gains = counted.map(({ n, e }) => [x.at(n), place(e)] as const);
  const futility = counted.map(({ n, eFutility }) => [x.at(n), place(eFutility)] as const);
  return plot(
    "evidence",
    {
      title: "Evidence after each pair",
      description: `After ${stop.pairs} pairs E for a gain is ${evidence(stop.e)}, with ${figure(bound)} needed; E for futility is ${evidence(stop.eFutility)}, with ${figure(futilityBound)} needed. The figures are in the table below.`,
    },
    height,
    [
      ...yAxis(y, "E (log)", (tick) => figure(tick)),
      ...xAxis(x, bottom, "pairs seen", String),
      ...levels.map((each) => line(frame.left, each.y, frame.right, each.y, each.style)),
      ...levelNames(levels),
      path(futility, "futility-path"),
      ...(radius > 0 ? futility.map(([cx, cy]) => dot(cx, cy, radius, "futility-dot")) : []),
      path(gains, "gain-path"),
      ...(radius > 0 ? gains.map(([cx, cy]) => dot(cx, cy, radius, "gain-dot")) : []),
      line(frame.left + 80, 14, frame.left + 104, 14, "gain-path"),
      dot(frame.left + 92, 14, 3.4, "gain-dot"),
      label(frame.left + 112, 18, "for a gain above the margin", "start", "key"),
      line(frame.left + 320, 14, frame.left + 344, 14, "futility-path"),
      dot(frame.left + 332, 14, 3.4, "futility-dot"),
      label(frame.left + 352, 18, "for futility", "start", "key"),
    ],
  );
}
