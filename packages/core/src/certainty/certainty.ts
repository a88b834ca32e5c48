import { type Fault, limit, type Stated } from "@questbus/protocol";

/**
 * The rule of certainty: an answer that says it is less than 95 % sure names a source, or is no answer yet. An answer that
 * says nothing of the kind makes no claim that could be held against it: it counts, and is shown as "not stated".
 *
 * That a source has the form of one is all that is looked at here. Whether it says so, its reader sees.
 */
const certaintyMin = limit.certaintyPercentMin / 100;

export type SourceKind = "address" | "artifact" | "command" | "path";

/** What kind of source a text names; null: it is words, and names none. */
export function sourceKindOf(source: string): SourceKind | null {
  const text = source.trim();
  if (/^https?:\/\/[^\s/]+\S*$/i.test(text)) return "address";
  if (/^sha256:[0-9a-f]{64}$/.test(text)) return "artifact";
  if (/^\$\s+\S/.test(text)) return "command";
  // A path has a folder, an ending or a line; one bare word could be any word.
  if (/^[^\s:]+(?::\d+){0,2}$/.test(text) && /[\p{L}\p{N}]/u.test(text) && /[/.]\S|:\d+$/.test(text))
    return "path";
  return null;
}

/** What an answer says of its certainty, and nothing else of it. */
export function statedOf({ certainty, sources }: Stated): Stated {
  return { ...(certainty === undefined ? {} : { certainty }), ...(sources === undefined ? {} : { sources }) };
}

/** What an answer has to have attached before it counts; null: it counts as it is. */
export function clarificationOf({ certainty, sources = [] }: Stated): Fault | null {
  if (certainty === undefined || certainty >= certaintyMin) return null;
  if (sources.some((source) => sourceKindOf(source) !== null)) return null;
  const named = sources.length > 0 ? "what it names has not the form of a source" : "names no source";
  return {
    code: "SOURCE_MISSING",
    message: `the answer says it is ${percent(certainty)} sure, below ${percent(certaintyMin)}, and ${named}`,
    next: "attach in sources what shows it: src/parse.ts:12, https://…, $ npm test, or sha256:HASH; or ask what you have to know",
  };
}

/** A share as people read it; 0.949 is not 95 %. */
const percent = (share: number): string => `${Math.floor(share * 1_000 + 1e-9) / 10} %`;

/** How sure an answer is, for people. */
export function certaintyText({ certainty, sources = [] }: Stated): string {
  const sure = certainty === undefined ? "certainty not stated" : `${percent(certainty)} sure`;
  if (sources.length === 0) return `${sure}, no source`;
  return `${sure}, by ${sources.join("; ")} (unchecked)`;
}
