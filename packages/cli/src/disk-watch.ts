import { statfsSync } from "node:fs";

/** Too little for another row of the journal. */
const freeBytesMin = 65_536;
/** A command of the quest may fill the disk for a while; what it wrote is removed when it ends. */
const fullMsMax = 15_000;

/** Tells, each time it is asked, whether the disk of `dir` has been full for so long that nothing more will happen. */
export function openDiskWatch(dir: string, nowMs: () => number = () => performance.now()): () => boolean {
  let fullSinceMs: number | null = null;
  return () => {
    const { bavail, bfree, bsize } = statfsSync(dir);
    // The superuser may use what is reserved.
    const freeBytes = (process.getuid?.() === 0 ? bfree : bavail) * bsize;
    fullSinceMs = freeBytes < freeBytesMin ? (fullSinceMs ?? nowMs()) : null;
    return fullSinceMs !== null && nowMs() - fullSinceMs > fullMsMax;
  };
}
