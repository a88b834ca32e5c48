import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { delimiter } from "node:path";
import type { Place } from "./place.ts";
import { until } from "./until.ts";

/**
 * Makes a stack stand still at a known point, so that a test can act while a task is under way and never has to guess
 * how long one takes. A point that is set stops whoever comes by until it is lifted.
 *
 * - `git-<role>`: any git command that the agent of that role runs.
 * - `branch-<role>`: the same, once it has made a branch, before it can say so.
 * - any other name: a command of the quest that calls `command(name)` first.
 */
export type Holds = {
  /** What the stack's processes must have in their environment. */
  readonly env: NodeJS.ProcessEnv;
  /** A shell command that waits at the point `name`. */
  command(name: string): string;
  set(name: string): void;
  lift(name: string): void;
  /** Resolves when somebody stands at the point, and forgets that he came. */
  reached(name: string): Promise<void>;
};

const waiting = (dir: string): string => `#!/bin/sh
# Waits while the point "$1" is set. A process whose parent was killed waits for nothing.
[ -e "${dir}/set-$1" ] || exit 0
echo $$ > "${dir}/at-$1"
while [ -e "${dir}/set-$1" ] && kill -0 "$2" 2>/dev/null; do sleep 0.02; done
kill -0 "$2" 2>/dev/null
`;

const heldGit = (dir: string, git: string): string => `#!/bin/sh
# git, which waits at the points of the role that calls it.
case "$(ls "${dir}")" in
*set-git-*|*set-branch-*) ;;
*) exec ${git} "$@" ;;
esac
role=$(ps -ww -o args= -p $PPID | sed -n 's/.*--role \\([a-z]*\\).*/\\1/p')
[ -n "$role" ] || exec ${git} "$@"
sh "${dir}/wait.sh" "git-$role" $PPID || exit 1
case "$*" in
*"update-ref"*" refs/heads/"*)
  ${git} "$@"
  code=$?
  sh "${dir}/wait.sh" "branch-$role" $PPID || exit 1
  exit $code ;;
esac
exec ${git} "$@"
`;

export function openHolds(place: Place): Holds {
  const dir = place.path("holds");
  const bin = place.path("bin");
  mkdirSync(dir);
  mkdirSync(bin);
  const git = execFileSync("/bin/sh", ["-c", "command -v git"], { encoding: "utf8" }).trim();
  writeFileSync(`${dir}/wait.sh`, waiting(dir), { mode: 0o755 });
  writeFileSync(`${bin}/git`, heldGit(dir, git), { mode: 0o755 });
  return {
    env: { PATH: [bin, process.env.PATH].join(delimiter) },
    command: (name) => `sh ${dir}/wait.sh ${name} $PPID`,
    set: (name) => writeFileSync(`${dir}/set-${name}`, ""),
    lift: (name) => rmSync(`${dir}/set-${name}`),
    async reached(name) {
      await until(`somebody to stand at ${name}`, () => existsSync(`${dir}/at-${name}`), 60_000);
      rmSync(`${dir}/at-${name}`);
    },
  };
}
