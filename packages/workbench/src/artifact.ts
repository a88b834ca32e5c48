import { createHash, randomUUID } from "node:crypto";
import { mkdir, open, readFile, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type ArtifactRef, QuestbusError } from "@questbus/protocol";
import { onDisk } from "./disk.ts";

/** Content by its SHA-256, at `<dir>/ab/cd…`. */
export type Artifacts = {
  /**
   * Stores bytes (text as UTF-8) and answers once they are on the disk; the same bytes are stored once.
   * @throws DISK_FULL
   */
  put(kind: ArtifactRef["kind"], bytes: Buffer | string): Promise<ArtifactRef>;
  /**
   * The bytes of that hash, checked against it.
   * @throws ARTIFACT_MISSING when there are none, or when they were altered
   */
  get(sha256: string): Promise<Buffer>;
};

/** Opens the store in `dir`, which is made with its first artifact. */
export function openArtifacts(dir: string): Artifacts {
  return {
    put: async (kind, content) => {
      const bytes = Buffer.from(content);
      const sha256 = hashOf(bytes);
      const path = pathOf(dir, sha256);
      if ((await readSound(path, sha256)) === null) await onDisk(dir, () => write(path, bytes));
      return { kind, sha256, sizeBytes: bytes.length };
    },
    get: async (sha256) => {
      const bytes = /^[0-9a-f]{64}$/.test(sha256) ? await readSound(pathOf(dir, sha256), sha256) : null;
      if (bytes) return bytes;
      throw new QuestbusError({
        code: "ARTIFACT_MISSING",
        message: `the artifact ${sha256} is missing or was altered`,
        where: dir,
        next: "bring the file back from a backup of the state directory",
      });
    },
  };
}

const hashOf = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");
const pathOf = (dir: string, sha256: string): string => join(dir, sha256.slice(0, 2), sha256.slice(2));

async function readSound(path: string, sha256: string): Promise<Buffer | null> {
  const bytes = await readFile(path).catch(() => null);
  return bytes && hashOf(bytes) === sha256 ? bytes : null;
}

/** Written beside, synced, renamed: a name never stands for half a content. */
async function write(path: string, bytes: Buffer): Promise<void> {
  const fresh = `${path}.${randomUUID()}`;
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  try {
    await using file = await open(fresh, "wx", 0o600);
    await file.writeFile(bytes);
    await file.sync();
    await rename(fresh, path);
  } catch (error) {
    await rm(fresh, { force: true });
    throw error;
  }
  await using folder = await open(dirname(path), "r");
  await folder.sync();
}
