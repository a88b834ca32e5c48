import { limit, type Suspicion } from "@questbus/protocol";
import type { Language } from "./place.ts";

/** A path that differs between last known-good and the candidate; null: there is none, or it is no text. */
export type ScannedFile = { path: string; base: string | null; candidate: string | null; binary: boolean };

/** What a rule may know of the change besides the text it matches. */
export type RuleContext = {
  path: string;
  /** The file starts a program: it may look at its own command line. */
  entry: boolean;
  /** Base texts of all changed sources in one, without comments. */
  before: string;
  /** New lines of all changed sources in one, without comments. */
  added: string;
};

/**
 * A form of code that the base did not have. A rule matches text without comments; it says what the form does, and
 * what an author who meant no harm should do instead.
 */
export type FormRule = {
  id: string;
  kind: Suspicion["kind"];
  languages: readonly Language[] | "all";
  forms: readonly RegExp[];
  does: string;
  instead: string;
  /** False where the form is a usual one in this change. */
  counts?: (context: RuleContext) => boolean;
};

/**
 * A pattern in which each space stands for white space, line ends too. What repeats in a pattern is bounded, because a
 * candidate's text is read with it, and must not be able to make that take for ever.
 */
export const form = (...parts: string[]): RegExp =>
  new RegExp(parts.join("").replaceAll(" ", "\\s{0,999}"), "g");

/** A pattern's part that stands for this very text. */
export const literal = (text: string): string => text.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, "\\$&");

const clip = (text: string, max: number): string =>
  text.length > max ? `${text.slice(0, max - 4)} ...` : text;

export const suspect = (kind: Suspicion["kind"], message: string, where: string | null): Suspicion => ({
  kind,
  message: clip(message, limit.reasonCharsMax / 4),
  where: where === null ? null : clip(where, limit.placeCharsMax),
});
