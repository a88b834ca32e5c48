import { type Analysis, percent } from "@questbus/protocol";

const shownMax = 3;
const mib = (bytes: number): string => `${(bytes / 1_048_576).toFixed(0)} MiB`;

/** Less than half a MiB is what every program reads and writes. */
const worthSaying = (bytes: number | null | undefined): number | null =>
  bytes && bytes > 524_288 ? bytes : null;

type Hot = Analysis["hot"][number];

/** `parse src/parse.mjs:12 41 %`; what is not the target's own names the place it is entered from. */
function hotText({ function: name, where, origin, from, share }: Hot): string {
  const via = origin !== "target" && from ? ` from ${from}` : "";
  return `${name}${where ? ` ${where}` : ""}${via} ${percent(share)}`;
}

/** One line: the hottest functions and their shares; null when no process wrote a profile. */
export function hotLine({ hot }: Analysis): string | null {
  return hot.length > 0 ? `hot: ${hot.slice(0, shownMax).map(hotText).join(", ")}` : null;
}

/** What share of the time `files` have by what is hot, in words for a choice; null when none. */
export function hotShareOf({ hot }: Analysis, files: readonly string[]): string | null {
  const own = hot.filter(({ where }) => files.some((file) => where?.startsWith(`${file}:`)));
  if (own.length === 0) return null;
  const share = own.reduce((sum, each) => sum + each.share, 0);
  const names = new Set(own.map((each) => each.function));
  return `it changes where ${percent(share)} of the time goes (${[...names].join(", ")})`;
}

/** What the goal needs of the hot functions, at most (Amdahl); null without a goal that shares of time bound. */
function goalText({ goalNeeds, hot }: Analysis): string | null {
  if (!goalNeeds) return null;
  const need = `the goal needs ${percent(goalNeeds.share)} of the time gone`;
  const { functions } = goalNeeds;
  if (functions === null) return `${need}: not even all functions together have it`;
  const alone = hot.filter((each) => each.reachesGoal).map((each) => each.function);
  if (functions === 1) return `${need}: ${alone.join(" or ")} alone could do it`;
  return `${need}: no function alone has it, the ${functions} hottest together do`;
}

function useText({ use, usage, heap, apart }: Analysis): string {
  const known = (text: string, value: number | null | undefined, unit = percent): string[] =>
    value === null || value === undefined ? [] : [`${text} ${unit(value)}`];
  return [
    ...known("processor busy", use.cpu.utilization),
    ...known("peak memory", usage?.peakRssBytes, mib),
    ...known("read", worthSaying(usage?.readBytes), mib),
    ...known("written", worthSaying(usage?.writtenBytes), mib),
    ...known("garbage collection", apart?.gc ?? use.gc.utilization),
    ...known("peak heap", heap?.peakBytes, mib),
  ].join(", ");
}

/** An analysis in a few lines for people. */
export function describeAnalysis(analysis: Analysis): string[] {
  const hot = hotLine(analysis);
  const lines = [hot, goalText(analysis), useText(analysis) || null, ...analysis.notes];
  return lines.filter((each) => each !== null);
}
