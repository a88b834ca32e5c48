import { type ChildProcess, execFileSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { homedir } from "node:os";
import { join } from "node:path";

/** The folder of the bench's own under the user's cache. */
export const benchCache = (): string =>
  join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "questbus-bench");

/** Installs exactly these packages into a cache folder, so that they are no dependency of ours; gives the folder. */
export function installed(versions: Readonly<Record<string, string>>): string {
  const names = Object.entries(versions);
  const dir = join(
    benchCache(),
    names.map(([name, version]) => `${name.replaceAll("/", "-")}-${version}`).join("-"),
  );
  if (names.every(([name]) => existsSync(join(dir, "node_modules", name, "package.json")))) return dir;
  mkdirSync(dir, { recursive: true });
  writeFileSync(join(dir, "package.json"), JSON.stringify({ private: true, dependencies: versions }));
  process.stderr.write(`installing ${names.map((each) => each.join(" ")).join(", ")} into ${dir}\n`);
  execFileSync("npm", ["install", "--no-audit", "--no-fund", "--ignore-scripts"], {
    cwd: dir,
    stdio: "pipe",
  });
  return dir;
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}

export async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, "exit");
  child.kill("SIGTERM");
  await exit;
}
