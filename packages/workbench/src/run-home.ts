import { createHash, randomUUID } from "node:crypto";
import { existsSync, readFileSync, readlinkSync } from "node:fs";
import { mkdir, readdir, readFile, rename, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { onDisk } from "./disk.ts";
import { startTimeOf } from "./process-group.ts";
import { removeTree } from "./removal.ts";

/**
 * The HOME and TMPDIR of one run: fresh, empty, gone afterwards, and for all arms of a measurement at one path, so that
 * nothing a run leaves there reaches the next one. XDG_* is never set for a command, so it follows HOME.
 *
 * It keeps runs apart that mean no harm. A program that looks the user up in the system's tables still finds the real
 * home.
 *
 * It stands in the system's temporary directory, with the name of its owner beside it: a process that is killed leaves it
 * there, and only the next run of the same quest would come to the same path (see {@link sweepRunHomes}).
 */

/**
 * Programs such as `cargo` and `node` may be shims of a version manager, which looks below HOME for what to start; they
 * are told the real place. Caches of builds and packages are not among them.
 */
export const toolchains: readonly [name: string, belowHome: string][] = [
  ["RUSTUP_HOME", ".rustup"],
  ["CARGO_HOME", ".cargo"],
  ["VOLTA_HOME", ".volta"],
  ["ASDF_DATA_DIR", ".asdf"],
  ["MISE_DATA_DIR", ".local/share/mise"],
  ["PYENV_ROOT", ".pyenv"],
  ["RBENV_ROOT", ".rbenv"],
  ["COREPACK_HOME", ".cache/node/corepack"],
  ["GOPATH", "go"],
];

/** Where the runs of the arms at `dir` have HOME and TMPDIR: a short path, because sockets in TMPDIR have to fit 108 bytes. */
export const runHomeOf = (dir: string): string =>
  join(tmpdir(), `questbus-run-${createHash("sha256").update(dir).digest("hex").slice(0, 12)}`);

/** Does `work` with the environment of one run, whose HOME and TMPDIR are below `path`. */
export async function withRunHome<T>(
  path: string,
  work: (env: Readonly<Record<string, string>>) => Promise<T>,
): Promise<T> {
  const [home, temporary] = [join(path, "home"), join(path, "tmp")];
  await removeTree(path);
  await onDisk(path, async () => {
    // not recursive: a path that somebody else has put there is refused
    for (const each of [path, home, temporary]) await mkdir(each, { mode: 0o700 });
    await nameOwner(path);
  });
  const env = {
    HOME: home,
    TMPDIR: temporary,
    TMP: temporary,
    TEMP: temporary,
    // in an empty HOME it would ask the registry on every run
    NPM_CONFIG_UPDATE_NOTIFIER: "false",
    ...toolchainEnvironment(),
  };
  try {
    return await work(env);
  } finally {
    await removeTree(path);
  }
}

const ownerFile = "owner";
const ownerText = (pid: number, start: string | null): string => `${pid} ${start} ${pidSpace()}`;
let ownText = "";

/** Where process ids mean what they mean here: a container that shares the temporary directory has others. */
function pidSpace(): string {
  const linked = attempt(() => readlinkSync("/proc/self/ns/pid"));
  return linked ?? attempt(() => readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()) ?? "-";
}

function attempt(read: () => string): string | null {
  try {
    return read();
  } catch {
    return null;
  }
}

/** Says of a folder in the temporary directory that it is this process's. */
export function nameOwner(dir: string): Promise<void> {
  ownText ||= ownerText(process.pid, startTimeOf(process.pid));
  return writeFile(join(dir, ownerFile), ownText, { mode: 0o600 });
}

/**
 * Removes what processes that are gone left of their runs in `dir`, the system's temporary directory by default; nothing
 * where it cannot be read.
 */
export async function sweepRunHomes(dir: string = tmpdir()): Promise<void> {
  for (const name of await readdir(dir).catch(() => [])) {
    const path = join(dir, name);
    if (!/^questbus-(?:run|load|brief|admission)-/.test(name) || !(await isLeft(path))) continue;
    const aside = join(dir, `questbus-run-gone-${randomUUID()}`);
    try {
      await rename(path, aside);
      // its successor may have come to the same path meanwhile
      if (await isLeft(aside)) await removeTree(aside);
      else await rename(aside, path);
    } catch {
      // another process took it, or it is another user's
    }
  }
}

async function isLeft(path: string): Promise<boolean> {
  const text = await readFile(join(path, ownerFile), "utf8").catch(() => "");
  const [pid, space] = /^(\d+) .* (\S+)$/.exec(text)?.slice(1) ?? [];
  return space === pidSpace() && text !== ownerText(Number(pid), startTimeOf(Number(pid)));
}

const toolchainEnvironment = (): Record<string, string> =>
  Object.fromEntries(
    toolchains.flatMap(([name, belowHome]) => {
      const path = process.env[name] ?? join(homedir(), belowHome);
      return existsSync(path) ? [[name, path]] : [];
    }),
  );
