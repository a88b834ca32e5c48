import type { ChangelogEntry } from "@questbus/protocol";

/** Entries for accepted changes, in the form of Keep a Changelog 1.1.0 (keepachangelog.com). Pure. */

const title =
  "# Changelog\n\nThe form is that of [Keep a Changelog](https://keepachangelog.com/en/1.1.0/).\n";
const unreleased = "## [Unreleased]";
const changed = "### Changed";

/**
 * The text of a changelog with `entry` as the first one under `## [Unreleased]`, `### Changed`; both headings, and the
 * file itself, are made when missing. Line ends stay as they are.
 * @param text the file so far; null when there is none.
 * @param atMs date of the entry, in UTC.
 */
export function insertEntry(text: string | null, entry: ChangelogEntry, atMs: number): string {
  const eol = text?.includes("\r\n") ? "\r\n" : "\n";
  const lines = (text?.trim() ? text : title).split(/\r?\n/);
  if (lines.at(-1) === "") lines.pop();
  const section = findSection(lines);
  const group = lines.findIndex(
    (line, at) => at > section.begin && at < section.end && sameHeading(line, changed),
  );
  const body = entryLines(entry, atMs);
  if (group >= 0) lines.splice(firstEntry(lines, group), 0, ...body);
  else lines.splice(section.begin + 1, 0, "", changed, "", ...body);
  return `${lines.join(eol)}${eol}`;
}

/** Where the Unreleased section stands; it is added above the newest release when missing. */
function findSection(lines: string[]): { begin: number; end: number } {
  let begin = lines.findIndex((line) => /^## +\[?unreleased\]?/i.test(line));
  if (begin < 0) {
    const newest = lines.findIndex((line) => line.startsWith("## "));
    begin = newest < 0 ? lines.length + 1 : newest;
    if (newest < 0) lines.push("", unreleased);
    else lines.splice(newest, 0, unreleased, "");
  }
  const next = lines.findIndex((line, at) => at > begin && /^## /.test(line));
  return { begin, end: next < 0 ? lines.length : next };
}

const sameHeading = (line: string, heading: string): boolean =>
  line.trim().toLowerCase() === heading.toLowerCase();

/** The line at which a first entry goes: after the heading and the blank line that follows it. */
function firstEntry(lines: string[], heading: number): number {
  if (lines[heading + 1]?.trim() !== "") lines.splice(heading + 1, 0, "");
  return heading + 2;
}

function entryLines(entry: ChangelogEntry, atMs: number): string[] {
  const date = new Date(atMs).toISOString().slice(0, 10);
  return [
    `- ${oneLine(entry.description)} (version: Unreleased, date: ${date}, author: ${oneLine(entry.author)})`,
    `  - Impact: ${oneLine(entry.impact)}`,
    `  - Rollback: ${oneLine(entry.rollback)}`,
  ];
}

/** ASCII white space only: the text may be bytes (latin1), where others are parts of letters. */
const oneLine = (text: string): string => text.replace(/[ \t\r\n\f\v]+/g, " ").replace(/^ | $/g, "");
