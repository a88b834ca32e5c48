import { stripVTControlCharacters } from "node:util";
import { limit } from "@questbus/protocol";

/** How the usual test runners begin the line of a test that failed; a heading that only ends in a colon names none. */
const failureLine =
  /^[ \t]*(?:not ok\b(?!.*#\s*(?:todo|skip|TODO|SKIP))|✖|FAIL\b|×|AssertionError|Error:).*[^:\s][ \t]*$/m;

/** The first line that names a failure, without colours and indentation; null where none is known as such. */
export function firstFailure(output: string): string | null {
  const line = failureLine.exec(stripVTControlCharacters(output))?.[0].trim();
  return line?.slice(0, failureCharsMax).toWellFormed() ?? null;
}

/** How programs begin the line that says what was thrown, below or above its stack. */
const thrownLine = /^(?:Uncaught )?(?:[\w.$]*(?:Error|Exception)|\S+: can't open file)\b[^\n]*$/gm;

/** The last line that says what was thrown, without colours; null where none does. */
export function thrown(output: string): string | null {
  const line = stripVTControlCharacters(output).match(thrownLine)?.at(-1)?.trim();
  return line?.slice(0, thrownCharsMax).toWellFormed() ?? null;
}

const thrownCharsMax = 1_000;
const failureCharsMax = 200;

/** The last lines of the output of a red suite, after the first line that names a failure where they leave it out. */
export function failureExcerpt(output: string, charsMax: number = limit.excerptCharsMax): string {
  const named = firstFailure(output);
  const tail = lastLines(output, charsMax);
  if (named === null || tail.includes(named)) return tail;
  const head = `${named}\n...\n`;
  return head + lastLines(output, charsMax - head.length);
}

/** The last lines of an output, without terminal colours; at most `charsMax` characters, whole lines where it can be. */
export function lastLines(output: string, charsMax: number = limit.excerptCharsMax): string {
  const text = stripVTControlCharacters(output).trimEnd();
  if (text.length <= charsMax) return text.toWellFormed();
  const tail = text.slice(-charsMax);
  const lineEnd = tail.indexOf("\n");
  return (lineEnd >= 0 && lineEnd < charsMax / 2 ? tail.slice(lineEnd + 1) : tail).toWellFormed();
}
