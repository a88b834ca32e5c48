import { stripVTControlCharacters } from "node:util";
import { limit } from "@questbus/protocol";

/** The last lines of an output, without terminal colours; at most `charsMax` characters, whole lines where it can be. */
export function lastLines(output: string, charsMax: number = limit.excerptCharsMax): string {
  const text = stripVTControlCharacters(output).trimEnd();
  if (text.length <= charsMax) return text.toWellFormed();
  const tail = text.slice(-charsMax);
  const lineEnd = tail.indexOf("\n");
  return (lineEnd >= 0 && lineEnd < charsMax / 2 ? tail.slice(lineEnd + 1) : tail).toWellFormed();
}
