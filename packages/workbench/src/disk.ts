import { statfs } from "node:fs/promises";
import { QuestbusError } from "@questbus/protocol";

const saysFull = /No space left on device|ENOSPC|Disk quota exceeded|EDQUOT/;

/** Free space below this is taken as the reason when a write failed without giving one. */
const freeBytesMin = 1_048_576;

/** The refusal for a full disk; `where` is the path that could not be written. */
export function diskFull(where: string): QuestbusError {
  return new QuestbusError({
    code: "DISK_FULL",
    message: "there is no space left on the disk",
    where,
    next: "free some space (questbus keeps its files in the state directory), then run it again",
  });
}

/** Whether a program's own words blame a full disk. */
export const blamesDisk = (text: string): boolean => saysFull.test(text);

/** Bytes that an unprivileged process may still write in the file system of `dir`; 0 when no inode is left. */
export async function freeBytes(dir: string): Promise<number> {
  const { bavail, bsize, files, ffree } = await statfs(dir);
  return files > 0 && ffree === 0 ? 0 : bavail * bsize;
}

/** Whether the file system of `dir` has next to no space left; false when that cannot be told. */
export async function looksFull(dir: string): Promise<boolean> {
  return freeBytes(dir).then(
    (bytes) => bytes < freeBytesMin,
    () => false,
  );
}

/**
 * Runs `work`, and turns its ENOSPC and EDQUOT into DISK_FULL.
 * @throws DISK_FULL
 */
export async function onDisk<T>(where: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : null;
    throw code === "ENOSPC" || code === "EDQUOT" ? diskFull(where) : error;
  }
}
