import {
  closeSync,
  existsSync,
  fdatasyncSync,
  ftruncateSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { type JournalEvent, limit, QuestbusError } from "@questbus/protocol";
import { syncPath } from "./durable.ts";
import type { Head } from "./journal.ts";
import { makeDir } from "./place.ts";

/**
 * Segments: the journal's rows once more, as lines of JSON in files beside the backups. With a backup, or alone where
 * they begin with the first row, they give the state of any moment.
 *
 * - G1: a file is named by the number of its first row; files and lines follow each other without a gap.
 * - G2: what `append` returned from is on the disk. A line that a crash cut short is taken away at the next start.
 * - G3: nothing here is trusted when it is read back: every row must carry the hash that follows from the one before it.
 */
export type Line = Head & { text: string };

export type Segments = {
  /** The last row that is on the disk; null before the first. */
  last(): Head | null;
  append(lines: readonly Line[]): void;
  close(): void;
};

const fileOf = (seq: number): string => `${String(seq).padStart(15, "0")}.jsonl`;
const firstOf = (file: string): number => Number.parseInt(file, 10);

/** Files in the order of their rows. */
const filesIn = (dir: string): string[] =>
  existsSync(dir)
    ? readdirSync(dir)
        .filter((name) => /^\d{15}\.jsonl$/.test(name))
        .sort()
    : [];

/** The last whole line of a file, empty without one, and the size up to its end; torn: more stands behind it. */
function endOf(path: string): { line: string; sizeBytes: number; isTorn: boolean } {
  const bytes = readFileSync(path);
  const sizeBytes = bytes.lastIndexOf(0x0a) + 1;
  const line = bytes.subarray(bytes.lastIndexOf(0x0a, sizeBytes - 2) + 1, sizeBytes).toString("utf8");
  return { line, sizeBytes, isTorn: sizeBytes < bytes.length };
}

function headOf(line: string): Head | null {
  if (line === "") return null;
  const { seq, hash } = JSON.parse(line) as Head;
  return { seq, hash };
}

/** Takes away what is no whole line at the end of a file; gives its last row and its size. */
function mended(path: string): { last: Head | null; sizeBytes: number } {
  const { line, sizeBytes, isTorn } = endOf(path);
  if (isTorn) truncateSync(path, sizeBytes);
  return { last: headOf(line), sizeBytes };
}

export function openSegments(dir: string, fileBytesMax: number = limit.segmentBytesMax): Segments {
  makeDir(dir);
  let last: Head | null = null;
  let open: { file: number; sizeBytes: number } | null = null;
  for (const name of filesIn(dir).toReversed()) {
    const path = join(dir, name);
    const found = mended(path);
    if (found.last) {
      last = found.last;
      open = { file: openSync(path, "r+"), sizeBytes: found.sizeBytes };
      break;
    }
    rmSync(path);
  }

  const close = (): void => {
    if (open) closeSync(open.file);
    open = null;
  };
  const fileFor = (seq: number): { file: number; sizeBytes: number } => {
    if (open && open.sizeBytes < fileBytesMax) return open;
    close();
    open = { file: openSync(join(dir, fileOf(seq)), "wx+", 0o600), sizeBytes: 0 };
    syncPath(dir);
    return open;
  };
  return {
    last: () => last,
    append(lines) {
      const [first] = lines;
      const end = lines.at(-1);
      if (!first || !end) return;
      const to = fileFor(first.seq);
      const bytes = Buffer.from(lines.map(({ text }) => `${text}\n`).join(""));
      // What an earlier try left behind, on a disk that was full, say.
      ftruncateSync(to.file, to.sizeBytes);
      for (let done = 0; done < bytes.length; )
        done += writeSync(to.file, bytes, done, bytes.length - done, to.sizeBytes + done);
      fdatasyncSync(to.file);
      to.sizeBytes += bytes.length;
      last = { seq: end.seq, hash: end.hash };
    },
    close,
  };
}

/** The last whole row of a folder of segments; nothing is mended, so that a folder that cannot be written is read, too. */
export function lastOfSegments(dir: string): Head | null {
  for (const name of filesIn(dir).toReversed()) {
    const last = headOf(endOf(join(dir, name)).line);
    if (last) return last;
  }
  return null;
}

/** A restore to a moment ends at the first row behind it: the last that can be had without reading on. */
const timeBefore = ({ timeMs }: JournalEvent): string => new Date(timeMs - 1).toISOString();

/** @throws QuestbusError BACKUP_BROKEN */
function rowOf(text: string, file: string, at: number, before: JournalEvent | null): JournalEvent {
  try {
    return JSON.parse(text);
  } catch {
    throw new QuestbusError({
      code: "BACKUP_BROKEN",
      message: "a line of a segment cannot be read",
      where: `${file}:${at + 1}`,
      next: `restore to a time before it: questbus backup restore --at ${before ? timeBefore(before) : "TIME"}`,
    });
  }
}

/** The rows behind `afterSeq`, in order; a last line that a crash cut short does not count. */
export function* segmentRows(dir: string, afterSeq: number): Generator<JournalEvent, void> {
  const files = filesIn(dir);
  let before: JournalEvent | null = null;
  for (const [at, name] of files.entries()) {
    const next = files[at + 1];
    if (next !== undefined && firstOf(next) <= afterSeq + 1) continue;
    const path = join(dir, name);
    // Behind the last end of a line stands nothing, or a torn one.
    const lines = readFileSync(path, "utf8").split("\n").slice(0, -1);
    for (const [line, text] of lines.entries()) {
      const row = rowOf(text, path, line, before);
      if (row.seq > afterSeq) yield row;
      before = row;
    }
  }
}

/** Removes files whose rows are all up to `seq`; the newest stays. */
export function forgetSegments(dir: string, seq: number): void {
  const files = filesIn(dir);
  for (const [at, name] of files.entries()) {
    const next = files[at + 1];
    if (next !== undefined && firstOf(next) <= seq + 1) rmSync(join(dir, name));
  }
}
