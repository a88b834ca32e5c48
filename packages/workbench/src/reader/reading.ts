import type { ErrorCode } from "@questbus/protocol";
import type { z } from "zod";

/** What the readers of all formats share: their result, their refusal, JSON, and names. */

export type Reading = {
  value: number;
  /** One figure for each iteration, request or repetition, where the format kept them. */
  samples?: readonly number[] | undefined;
  /** The unit of both; empty where it is not known. */
  unit: string;
};

/**
 * Reads one figure out of what a tool wrote. Pure.
 * @param selector what the quest wrote after the colon, or the format's default
 * @param errorsShareMax the share of requests of a load that may fail; none by default
 * @throws Refusal
 */
export type Reader = (text: string, selector: string, errorsShareMax?: number) => Reading;

type RefusalCode = Extract<
  ErrorCode,
  "METRIC_MISSING" | "METRIC_NOT_A_NUMBER" | "SAMPLES_TOO_FEW" | "BENCH_FAILED"
>;

/** Why there is no figure; whoever knows the place in the quest file makes an error of it. */
export class Refusal extends Error {
  readonly code: RefusalCode;
  readonly next: string;

  constructor(code: RefusalCode, message: string, next: string) {
    super(message);
    this.code = code;
    this.next = next;
  }
}

/** A finite number above zero: gains are ratios. */
export function figureOf(value: unknown, name: string): number {
  if (typeof value === "number" && Number.isFinite(value) && value > 0) return value;
  if (value === undefined)
    throw new Refusal("METRIC_MISSING", `there is no ${name}`, "correct the selector after the colon");
  throw new Refusal(
    "METRIC_NOT_A_NUMBER",
    `${name} is ${shown(value)}, not a finite number above zero`,
    "measure something that takes longer or counts more, or choose another figure",
  );
}

/** Finite numbers not below zero, at least one. */
export function samplesOf(values: unknown, name: string): number[] {
  if (!Array.isArray(values) || values.length === 0)
    throw new Refusal("METRIC_MISSING", `there are no samples in ${name}`, "let the tool keep its samples");
  const bad: unknown = values.find((each) => typeof each !== "number" || !Number.isFinite(each) || each < 0);
  if (bad === undefined && !values.includes(undefined)) return values as number[];
  throw new Refusal(
    "METRIC_NOT_A_NUMBER",
    `a sample in ${name} is ${shown(bad)}, not a finite number`,
    "see what the tool wrote there",
  );
}

const shown = (value: unknown): string => (JSON.stringify(value) ?? String(value)).slice(0, 100);

/** The samples where the tool kept them; undefined where it did not. */
export const keptSamples = (values: unknown, name: string): number[] | undefined =>
  Array.isArray(values) && values.length > 0 ? samplesOf(values, name) : undefined;

/** The JSON in a text: all of it, its last line that is an object, or what follows the first line that begins one. */
export function findJson(text: string): unknown {
  const whole = parseJson(text);
  if (whole !== undefined) return whole;
  const lines = text.split("\n");
  for (const line of lines.map((each) => each.trim()).reverse()) {
    const found = line.startsWith("{") && line.endsWith("}") ? parseJson(line) : undefined;
    if (found !== undefined) return found;
  }
  const first = lines.findIndex((line) => /^[[{]/.test(line));
  return first > 0 ? parseJson(lines.slice(first).join("\n")) : undefined;
}

export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The document of a format, checked against its outline. */
export function documentOf<S extends z.ZodType>(
  text: string,
  outline: S,
  tool: string,
  how: string,
): z.output<S> {
  if (text.trim() === "")
    throw new Refusal("METRIC_MISSING", `there is nothing to read: ${tool} wrote nothing`, how);
  const found = findJson(text);
  if (found === undefined)
    throw new Refusal("METRIC_MISSING", `what ${tool} wrote is no JSON, or ends in the middle`, how);
  const checked = outline.safeParse(found);
  if (checked.success) return checked.data;
  const [issue] = checked.error.issues;
  const at = issue?.path.join("/") ?? "";
  throw new Refusal(
    "METRIC_MISSING",
    `this is not what ${tool} writes: ${at ? `at ${at}: ` : ""}${issue?.message ?? "another shape"}`,
    how,
  );
}

/** One benchmark of a document, under each name by which a quest may ask for it. */
export type Named<T> = { names: readonly string[]; item: T };

/**
 * Which benchmark and which figure a selector means: `name`, `name/figure`, or, where there is only one benchmark,
 * `figure`. Names may hold slashes; the whole selector is tried as a name first.
 */
export function select<T>(
  all: readonly Named<T>[],
  selector: string,
  defaultFigure: string,
): { item: T; figure: string; name: string } {
  if (all.length === 0)
    throw new Refusal(
      "METRIC_MISSING",
      "there is no benchmark in it",
      "see whether the tool ran any, or a filter left none",
    );
  const slash = selector.lastIndexOf("/");
  const tries: [name: string, figure: string][] = [[selector, defaultFigure]];
  if (slash > 0) tries.push([selector.slice(0, slash), selector.slice(slash + 1)]);
  for (const [name, figure] of tries) {
    const found = all.filter((each) => each.names.includes(name));
    if (found.length > 1)
      throw new Refusal(
        "METRIC_MISSING",
        `${found.length} benchmarks are named ${name}`,
        "give each a name of its own",
      );
    if (found[0]) return { item: found[0].item, figure, name };
  }
  const known = list(all.map((each) => each.names[0] ?? ""));
  const [only] = all;
  if (all.length === 1 && only && slash < 0)
    return { item: only.item, figure: selector, name: only.names[0] ?? "" };
  throw new Refusal(
    "METRIC_MISSING",
    all.length > 1 && slash < 0 && selector === defaultFigure
      ? `there are ${all.length} benchmarks, and the quest names none of them: ${known}`
      : `there is no benchmark for ${selector}; there is ${known}`,
    "write the name after the colon, as in the table of docs/measures.md",
  );
}

const listMax = 6;
export const list = (names: readonly string[]): string =>
  names.length > listMax
    ? `${names.slice(0, listMax).join(", ")} and ${names.length - listMax} more`
    : names.join(", ");
