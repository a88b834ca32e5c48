import { closeSync, openSync, readSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { QuestbusError } from "@questbus/protocol";
import { generator } from "./page.ts";

/** Where the mark of this program stands in a page of its own. */
const headBytes = 512;

const unusable = (path: string, why: string): QuestbusError =>
  new QuestbusError({
    code: "FILE_UNUSABLE",
    message: `the page cannot be written: ${why}`,
    where: path,
    next: "name a file in a folder that is there and that you may write",
  });

function isOurs(path: string): boolean {
  const head = Buffer.alloc(headBytes);
  const file = openSync(path, "r");
  try {
    return head.toString("utf8", 0, readSync(file, head)).includes(generator);
  } finally {
    closeSync(file);
  }
}

/**
 * Writes the page whole or not at all, and gives its path. A file that this command did not make stays as it is, unless
 * `force` says otherwise.
 *
 * @throws QuestbusError FILE_EXISTS, FILE_UNUSABLE
 */
export function writePage(file: string, page: string, force: boolean): string {
  const path = resolve(file);
  const partial = `${path}.${process.pid}.part`;
  try {
    const there = statSync(path, { throwIfNoEntry: false });
    if (there && !there.isFile()) throw unusable(path, "it is no file");
    if (there && !force && !isOurs(path)) {
      throw new QuestbusError({
        code: "FILE_EXISTS",
        message: "there is a file of that name, which this command did not make",
        where: path,
        next: "name another file, or replace it with --force",
      });
    }
    writeFileSync(partial, page, { flag: "wx" });
    renameSync(partial, path);
    return path;
  } catch (error) {
    if (error instanceof QuestbusError) throw error;
    rmSync(partial, { force: true });
    const why = error instanceof Error ? error.message : String(error);
    throw unusable(path, why.replaceAll(partial, path));
  }
}
