import { isDeepStrictEqual } from "node:util";
import { covers } from "@questbus/protocol";
import { commandsOf, wordsOf } from "./command-text.ts";
import type { SealRules } from "./sealed-path.ts";

/**
 * Of a package.json only what runs tests and bench is sealed: an honest change edits the rest of it. Nothing of it is
 * where no command of the quest would read it.
 */

const runners = new Set(
  "npm npx yarn pnpm pnpx bun bunx corepack sh bash dash zsh ksh make gmake just task rake turbo nx lerna wireit".split(
    " ",
  ),
);
/** Sections in which tools keep their settings; `scripts` are what npm runs. */
const sections = [
  "scripts",
  "jest",
  "mocha",
  "ava",
  "tap",
  "vitest",
  "nyc",
  "c8",
  "karma",
  "cypress",
  "playwright",
  "wireit",
  "nx",
];
const tools = new Set(sections.slice(1));

const isPackageJson = (path: string): boolean => /(^|\/)package\.json$/i.test(path);

/** Whether `path` is a package.json that a command of the quest could read. */
export function holdsSettings(rules: SealRules): (path: string) => boolean {
  const words = commandsOf(rules).flatMap(({ text }) => wordsOf(text));
  const programs = words.map((word) => word.slice(word.lastIndexOf("/") + 1));
  const isRead = programs.some(
    (word) => runners.has(word) || tools.has(word) || word.endsWith(".sh") || word === "--run",
  );
  const { except } = rules.seal;
  return (path) => isRead && isPackageJson(path) && !except.some((glob) => covers(path, glob));
}

type Json = Record<string, unknown>;

function parse(text: string | null): Json | null {
  try {
    const value: unknown = JSON.parse(text ?? "{}");
    return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Json) : null;
  } catch {
    return null;
  }
}

/** The sealed sections of a package.json, in a fixed order; what is no JSON has none. */
export function settingsOf(text: string | null): Json {
  const json = parse(text) ?? {};
  return Object.fromEntries(sections.filter((key) => json[key] !== undefined).map((key) => [key, json[key]]));
}

/** Sealed sections that an edit of a package.json changes; what is no JSON any more changes all of them. */
export function changedSettings(before: string | null, after: string | null): string[] {
  const [old, fresh] = [settingsOf(before), settingsOf(after)];
  if (after === null || parse(after) === null) return Object.keys(old);
  return sections.filter((key) => !isDeepStrictEqual(old[key], fresh[key]));
}

/** `after` with the sealed sections of `before`, in the form it is written in; null when that cannot be made. */
export function withSettingsOf(before: string | null, after: string | null): string | null {
  const json = after === null ? null : parse(after);
  if (!json || after === null) return null;
  const old = settingsOf(before);
  const kept = Object.entries(json).flatMap(([key, value]) =>
    !sections.includes(key) ? [[key, value]] : Object.hasOwn(old, key) ? [[key, old[key]]] : [],
  );
  const merged = { ...Object.fromEntries(kept), ...old };
  const indent = /^([ \t]+)"/m.exec(after)?.[1] ?? "";
  return `${JSON.stringify(merged, null, indent)}${/\n$/.test(after) ? "\n" : ""}`;
}
