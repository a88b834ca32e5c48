import type { ExplainedSamples, Rules } from "@questbus/core";
import { type Effect, percent } from "@questbus/protocol";
import type { Markup } from "./markup.ts";
import { beyond, box, dot, frame, label, line, plot, xAxis } from "./plot.ts";
import { bulk, linearScale, quantile, type Scale, widened } from "./scale.ts";
import { change, type EffectRow, figure, tickText } from "./words.ts";

/** The two plots of values: what base and candidate took, and how large the gain is. */

/** Five numbers of one arm over the pairs that decided. */
export type Spread = {
  name: "base" | "candidate";
  values: number[];
  min: number;
  q1: number;
  median: number;
  q3: number;
  max: number;
};

/** Both arms over the pairs that decided; empty without any. */
export function spreads({ pairs, stop }: ExplainedSamples): Spread[] {
  const counted = pairs.slice(0, stop.pairs);
  if (counted.length === 0) return [];
  return (["base", "candidate"] as const).map((name) => {
    const values = counted.map((pair) => pair[name].value);
    const sorted = values.toSorted((a, b) => a - b);
    const [min, q1, median, q3, max] = [0, 0.25, 0.5, 0.75, 1].map((p) => quantile(sorted, p));
    return { name, values, min, q1, median, q3, max } as Spread;
  });
}

const rowHeight = 96;
const boxHeight = 22;

/** From here on the dots are small. */
const manyRuns = 120;

/** Dots of one value lie over each other: each is moved a little up or down, the same way every time. */
const jitter = (at: number): number => (((at * 7) % 11) - 5) * 2.2;

function armRow({ name, values, q1, median, q3 }: Spread, top: number, x: Scale, unit: string): Markup[] {
  const [strip, middle] = [top + 22, top + 60];
  const inside = values.filter((value) => value >= x.low && value <= x.high);
  const within = (value: number): number => x.at(Math.min(Math.max(value, x.low), x.high));
  const ends = [Math.min(...inside), Math.max(...inside)] as const;
  return [
    label(frame.left - 8, middle + 4, name, "end", "arm-name"),
    ...values.map((value, at) => {
      const hint = `${name}, pair ${at + 1}: ${figure(value, unit)}`;
      if (value > x.high) return beyond(frame.right - 6, strip + jitter(at), "right", hint);
      if (value < x.low) return beyond(frame.left + 6, strip + jitter(at), "left", hint);
      return dot(x.at(value), strip + jitter(at), values.length > manyRuns ? 2 : 3.4, `${name}-dot`, hint);
    }),
    line(within(ends[0]), middle, within(ends[1]), middle, "whisker"),
    box(within(q1), middle - boxHeight / 2, Math.max(1, within(q3) - within(q1)), boxHeight, `${name}-box`),
    line(within(median), middle - boxHeight / 2 - 4, within(median), middle + boxHeight / 2 + 4, "median"),
    label(frame.right + 8, middle - 4, "median", "start", "level-name"),
    label(frame.right + 8, middle + 12, figure(median, unit), "start", "figure"),
  ];
}

/** Every run of both arms as a dot, with the box of the middle half and the median below. */
export function distributionPlot(arms: readonly Spread[], { metric }: Rules): Markup {
  const bottom = frame.top + arms.length * rowHeight;
  const ends = arms.flatMap(({ values }) => bulk(values));
  const x = linearScale(
    widened([Math.min(...ends), Math.max(...ends)], 0.04),
    [frame.left + 6, frame.right - 6],
    6,
  );
  const medians = arms.map(({ name, median }) => `${name} ${figure(median, metric.unit)}`).join(", ");
  return plot(
    "values",
    {
      title: "Base and candidate",
      description: `Medians over the deciding pairs: ${medians}. The figures are in the table below.`,
    },
    bottom + 62,
    [
      ...xAxis(
        x,
        bottom,
        `${metric.name}${metric.unit ? `, ${metric.unit}` : ""} (${metric.better} is better)`,
        (tick) => figure(tick),
      ),
      ...arms.flatMap((arm, at) => armRow(arm, frame.top - 12 + at * rowHeight, x, metric.unit)),
    ],
  );
}

const effectHeight = 58;
/** Where the plot of effects begins: its rows have names on the left. */
const effectLeft = 210;

function effectRow(row: EffectRow & { effect: Effect }, y: number, x: Scale): Markup[] {
  const { name, effect, counted, reported } = row;
  const style = reported ? "reported" : "unreported";
  const end = (value: number): Markup => line(x.at(value), y - 6, x.at(value), y + 6, `${style}-interval`);
  return [
    label(effectLeft - 14, y - 2, name, "end", "row-name"),
    label(effectLeft - 14, y + 15, `${counted} pairs${reported ? ", reported" : ""}`, "end", "level-name"),
    line(x.at(effect.low), y, x.at(effect.high), y, `${style}-interval`),
    end(effect.low),
    end(effect.high),
    dot(x.at(effect.estimate), y, 5.5, `${style}-dot`, change(effect.estimate)),
    label(frame.right + 8, y - 2, change(effect.estimate), "start", "figure"),
    label(
      frame.right + 8,
      y + 15,
      `${change(effect.low).replace(" %", "")} to ${change(effect.high)}`,
      "start",
      "level-name",
    ),
  ];
}

/** The estimates of the gain with their intervals, held against zero, the margin and the goal. */
export function effectPlot(rows: readonly EffectRow[], { margin, improveBy }: Rules): Markup {
  const known = rows.flatMap((row) => (row.effect ? [{ ...row, effect: row.effect }] : []));
  const levels = [
    { value: 0, name: "no change", style: "zero" },
    { value: margin, name: `margin ${percent(margin)}`, style: "margin" },
    ...(improveBy === null ? [] : [{ value: improveBy, name: `goal ${percent(improveBy)}`, style: "goal" }]),
  ];
  const values = [
    ...levels.map(({ value }) => value),
    ...known.flatMap(({ effect }) => [effect.low, effect.high]),
  ];
  const ends = widened([Math.min(...values), Math.max(...values)]);
  const x = linearScale(ends, [effectLeft + 6, frame.right - 6], 6);
  const top = 20 + levels.length * 16;
  const bottom = top + known.length * effectHeight;
  const said = known.map(
    ({ name, effect }) =>
      `${name}: ${change(effect.estimate)}, ${change(effect.low)} to ${change(effect.high)}`,
  );
  return plot(
    "effect",
    {
      title: "The gain with its interval",
      description: `${said.join("; ")}. The figures are in the table below.`,
    },
    bottom + 62,
    [
      ...xAxis(x, bottom, "gain", tickText, effectLeft),
      ...levels.flatMap(({ value, name, style }, at) => {
        const y = 18 + at * 16;
        return [line(x.at(value), y - 10, x.at(value), bottom, style), levelName(x.at(value), y, name)];
      }),
      ...known.flatMap((row, at) => effectRow(row, top + 28 + at * effectHeight, x)),
    ],
  );
}

/** The name of an upright line, on the side where there is room. */
const levelName = (x: number, y: number, name: string): Markup =>
  x > frame.right - 100
    ? label(x - 6, y, name, "end", "level-name")
    : label(x + 6, y, name, "start", "level-name");
