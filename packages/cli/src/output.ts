import { randomUUID } from "node:crypto";
import { styleText } from "node:util";
import { exitCode, type Fault, faultsOf, QuestbusError } from "@questbus/protocol";

/**
 * The one writer: what people and programs read, data on stdout, everything else on stderr. No other file of this package
 * may use these streams (test/architecture). Colours follow NO_COLOR, FORCE_COLOR and whether the stream is a terminal.
 *
 * I1: of what a terminal acts on, only the colours of `paint` and the line that lives reach it; the rest is escaped,
 * wherever the text comes from.
 * I2: each string is one line: a line break within it is escaped like the rest, and cannot pass for a line of ours.
 */
export type Style = Parameters<typeof styleText>[0];

const esc = "\x1b";
/** Stands for the ESC of `paint` until the line is written. Text of others cannot hold it: it is new in each process. */
const painted = randomUUID();
const shownAs = (line: string): string => printable(line).replaceAll(painted, esc);

/** What would move a cursor, hide or turn round what stands there, in words; a tab may stay. The writer does it: by hand only for files. */
export const printable = (text: string): string =>
  text.replace(/[^\P{Cc}\t]|[\p{Cf}\p{Zl}\p{Zp}]/gu, (found) => `\\u{${codeOf(found).toString(16)}}`);

const codeOf = (char: string): number => char.codePointAt(0) ?? 0;

export const paint = (style: Style, text: string, stream: NodeJS.WriteStream = process.stdout): string =>
  styleText(style, shownAs(text), { stream, validateStream: true }).replaceAll(esc, painted);
export const paintError = (style: Style, text: string): string => paint(style, text, process.stderr);

const write = (stream: NodeJS.WriteStream, lines: readonly string[]): void =>
  void stream.write(lines.map((line) => `${shownAs(line)}\n`).join(""));

export const printData = (...lines: readonly string[]): void => write(process.stdout, lines);
export const note = (...lines: readonly string[]): void => write(process.stderr, lines);

const unitText = (unit: string): string => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;

/** The same value; what JSON may hold raw, and a terminal would act on, is written as `\u` and four digits. */
const jsonText = (value: unknown, indent: number): string =>
  JSON.stringify(value, null, indent).replace(/[\x7f-\x9f\p{Cf}\p{Zl}\p{Zp}]/gu, (found) =>
    found.split("").map(unitText).join(""),
  );

export const printJson = (value: unknown, indent = process.stdout.isTTY ? 2 : 0): void =>
  printData(...jsonText(value, indent).split("\n"));

/** `text` in lines of its own: those behind the first are set in, so that none of them passes for a line of ours. */
export const textLines = (text: string, indent = "    "): string[] =>
  text.split("\n").map((line, at) => (at === 0 ? line : `${indent}${line}`));

/** Prints every fault of an error and gives the exit code; a user's mistake never shows a stack. `shown` is the `next` as it is printed. */
export function printError(
  error: unknown,
  json: boolean,
  shown: (next: string) => string = (next) => next,
): number {
  const faults = faultsOf(error).map((each) => (each.next ? { ...each, next: shown(each.next) } : each));
  printFaults(faults, json, error instanceof QuestbusError && error.retryable);
  if (faults[0]?.code === "INTERNAL" && error instanceof Error && process.env.QUESTBUS_DEBUG)
    note(...textLines(error.stack ?? ""));
  return error instanceof QuestbusError ? error.exit : exitCode.failure;
}

export function printFaults(faults: readonly Fault[], json: boolean, retryable = false): void {
  if (json) note(jsonText({ error: { code: faults[0]?.code, retryable, faults } }, 0));
  else for (const fault of faults) printFault(fault);
}

function printFault({ code, message, where, next }: Fault): void {
  const head = paintError(["bold", "red"], `error ${code}`);
  note(...textLines(`${head}${where ? ` at ${where}` : ""}: ${message}`));
  if (next) note(...textLines(`  ${paintError("dim", "next:")} ${next}`));
}

/** Columns that line up, for people. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const cells = rows.map((row) => row.map(printable));
  const width = head.map((title, at) =>
    Math.max(title.length, ...cells.map((row) => (row[at] ?? "").length)),
  );
  const line = (row: readonly string[]): string =>
    row
      .map((cell, at) => cell.padEnd(width[at] ?? 0))
      .join("  ")
      .trimEnd();
  return [paint("bold", line(head)), ...cells.map(line)];
}

export const ago = (atMs: number, nowMs: number): string => {
  const seconds = Math.max(0, Math.round((nowMs - atMs) / 1000));
  if (seconds < 120) return `${seconds} s ago`;
  if (seconds < 7_200) return `${Math.round(seconds / 60)} min ago`;
  return new Date(atMs).toISOString().replace("T", " ").slice(0, 16);
};

/** Whether a person looks at what is told beside the data. */
export const isWatched = (): boolean => process.stderr.isTTY === true;
/** How wide the terminal of the data is; where nobody says so, 80. */
export const columnsOfData = (): number => process.stdout.columns ?? 80;

/** The line that lives at the bottom of a terminal: other words in the place of those that stand there. */
export const redraw = (line: string): void =>
  void process.stderr.write(`\r${esc}[2K${shownAs(line).slice(0, Math.max(20, process.stderr.columns - 1))}`);

/** A reader that has seen enough (`| head`) is no fault: what it does not read is not written. */
export function letReadersLeave(): void {
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    process.exit(exitCode.ok);
  });
  process.stderr.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
  });
}
