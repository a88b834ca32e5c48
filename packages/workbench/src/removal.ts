import { chmod, readdir, rm } from "node:fs/promises";
import { join } from "node:path";

const retry = { maxRetries: 10, retryDelay: 20 } as const;

/**
 * Removes a tree with all that is in it, also when directories in it are read-only (module caches are) or a dying
 * process still writes to it. Nothing there is fine.
 */
export async function removeTree(path: string): Promise<void> {
  try {
    await rm(path, { recursive: true, force: true, ...retry });
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : null;
    if (code !== "EACCES" && code !== "EPERM") throw error;
    await makeWritable(path);
    await rm(path, { recursive: true, force: true, ...retry });
  }
}

async function makeWritable(dir: string): Promise<void> {
  await chmod(dir, 0o700).catch(() => {});
  const entries = await readdir(dir, { withFileTypes: true }).catch(() => []);
  for (const each of entries) if (each.isDirectory()) await makeWritable(join(dir, each.name));
}
