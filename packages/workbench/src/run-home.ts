import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { removeTree } from "./removal.ts";

/**
 * The HOME and TMPDIR of one run: fresh, empty, gone afterwards, and for all arms of a measurement at one path, so that
 * nothing a run leaves there reaches the next one. XDG_* is never set for a command, so it follows HOME.
 *
 * It keeps runs apart that mean no harm. A program that looks the user up in the system's tables still finds the real
 * home.
 */

/**
 * Programs such as `cargo` and `node` may be shims of a version manager, which looks below HOME for what to start; they
 * are told the real place. Caches of builds and packages are not among them.
 */
const toolchains: readonly [name: string, belowHome: string][] = [
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
  // not recursive: a path that somebody else has put there is refused
  for (const each of [path, home, temporary]) await mkdir(each, { mode: 0o700 });
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

const toolchainEnvironment = (): Record<string, string> =>
  Object.fromEntries(
    toolchains.flatMap(([name, belowHome]) => {
      const path = process.env[name] ?? join(homedir(), belowHome);
      return existsSync(path) ? [[name, path]] : [];
    }),
  );
