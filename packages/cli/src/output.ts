import { styleText } from "node:util";
import { exitCode, type Fault, faultsOf, QuestbusError } from "@questbus/protocol";

/**
 * What people and programs read: data on stdout, everything else on stderr. Colours follow NO_COLOR, FORCE_COLOR and
 * whether the stream is a terminal.
 */
export type Style = Parameters<typeof styleText>[0];

export const paint = (style: Style, text: string, stream: NodeJS.WriteStream = process.stdout): string =>
  styleText(style, text, { stream, validateStream: true });
export const paintError = (style: Style, text: string): string => paint(style, text, process.stderr);

export function printData(text: string): void {
  process.stdout.write(`${text}\n`);
}

export const printJson = (value: unknown): void =>
  printData(JSON.stringify(value, null, process.stdout.isTTY ? 2 : 0));

export function note(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** Prints every fault of an error and gives the exit code; a user's mistake never shows a stack. */
export function printError(error: unknown, json: boolean): number {
  const faults = faultsOf(error);
  printFaults(faults, json, error instanceof QuestbusError && error.retryable);
  if (faults[0]?.code === "INTERNAL" && error instanceof Error && process.env.QUESTBUS_DEBUG)
    note(error.stack ?? "");
  return error instanceof QuestbusError ? error.exit : exitCode.failure;
}

export function printFaults(faults: readonly Fault[], json: boolean, retryable = false): void {
  if (json) note(JSON.stringify({ error: { code: faults[0]?.code, retryable, faults } }));
  else for (const fault of faults) printFault(fault);
}

function printFault({ code, message, where, next }: Fault): void {
  note(`${paintError(["bold", "red"], `error ${code}`)}${where ? ` at ${where}` : ""}: ${message}`);
  if (next) note(`  ${paintError("dim", "next:")} ${next}`);
}

/** Text of somebody else for a terminal: what would move its cursor, hide or turn round what stands there is escaped. */
export const printable = (text: string): string =>
  text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (found) => `\\u{${(found.codePointAt(0) ?? 0).toString(16)}}`);

/** Columns that line up, for people. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const width = head.map((title, at) => Math.max(title.length, ...rows.map((row) => (row[at] ?? "").length)));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, at) => cell.padEnd(width[at] ?? 0))
      .join("  ")
      .trimEnd();
  return [paint("bold", line(head)), ...rows.map(line)].join("\n");
}

export const ago = (atMs: number, nowMs: number): string => {
  const seconds = Math.max(0, Math.round((nowMs - atMs) / 1000));
  if (seconds < 120) return `${seconds} s ago`;
  if (seconds < 7_200) return `${Math.round(seconds / 60)} min ago`;
  return new Date(atMs).toISOString().replace("T", " ").slice(0, 16);
};
