/** Axes: from values to places on a plot, and the values that are written beside it. */
export type Scale = { at: (value: number) => number; ticks: readonly number[]; low: number; high: number };

type Range = readonly [number, number];

/** A step of 1, 2 or 5 times a power of ten, of which about `wanted` lie between the ends. */
function stepOf([low, high]: Range, wanted: number): number {
  const rough = (high - low) / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  return power * ([1, 2, 5].find((each) => each * power >= rough) ?? 10);
}

/** Differences below and values above are no different on any plot; they keep what is computed of them finite. */
const least = 1e-290;
const most = 1e300;

/** Ends of a range with some air around it; one value alone gets a range too. */
export function widened(range: Range, share = 0.06): Range {
  const [low, high] = range.map((end) => Math.max(-most, Math.min(most, end))) as [number, number];
  const alone = Math.abs(high) * 0.1 > least ? Math.abs(high) * 0.1 : 1;
  const air = high - low > least ? (high - low) * share : alone;
  return [low - air, high + air];
}

export function linearScale(range: Range, [from, to]: Range, wanted = 5): Scale {
  const [low, high] = range;
  const step = stepOf(range, wanted);
  const first = Math.ceil(low / step);
  const ticks = Array.from({ length: Math.max(0, Math.floor(high / step + 1e-9) - first + 1) }, (_, at) =>
    Number(((first + at) * step).toPrecision(12)),
  );
  return { at: (value) => from + ((value - low) / (high - low)) * (to - from), ticks, low, high };
}

/** Whole powers of ten as ticks; of many, every second, third, ... */
export function logScale([low, high]: Range, [from, to]: Range, ticksMax = 8): Scale {
  const [start, end] = [Math.log10(low), Math.log10(high)];
  const powers = Math.floor(end) - Math.ceil(start) + 1;
  const every = Math.max(1, Math.ceil(powers / ticksMax));
  const ticks = Array.from({ length: Math.max(0, powers) }, (_, at) => Math.ceil(start) + at)
    .filter((power) => power % every === 0)
    .map((power) => 10 ** power);
  return {
    at: (value) => from + ((Math.log10(value) - start) / (end - start)) * (to - from),
    ticks,
    low,
    high,
  };
}

/** The value below which the share `p` of the ascending values lies (linear between two). */
export function quantile(sorted: readonly number[], p: number): number {
  const place = (sorted.length - 1) * p;
  const low = sorted[Math.floor(place)] as number;
  return low + ((sorted[Math.ceil(place)] as number) - low) * (place - Math.floor(place));
}

/**
 * The ends of an axis on which the bulk of the values can be told apart: far outliers (three box lengths beyond the
 * box) do not stretch it.
 */
export function bulk(values: readonly number[]): Range {
  const sorted = values.toSorted((a, b) => a - b);
  const [q1, q3] = [quantile(sorted, 0.25), quantile(sorted, 0.75)];
  const reach = 3 * (q3 - q1);
  const inside = sorted.filter((value) => value >= q1 - reach && value <= q3 + reach);
  // Where both quartiles round to a number between two values, none is inside.
  const shown = inside.length > 0 ? inside : sorted;
  return [shown[0] as number, shown.at(-1) as number];
}
