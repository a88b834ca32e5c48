import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { type Place, until } from "@questbus/testkit";
import { startTimeOf } from "@questbus/workbench";

/**
 * Commands of a quest that do not want to end: told to stay, one ignores SIGTERM and starts two others that left its
 * process group, one of them a daemon (forked twice, in a session of its own, with no pipe of anybody's), the other with
 * the pipes of the command.
 */
export type Stubborn = {
  /** A shell command that stays when it is told to, and else does nothing. */
  command(name: string): string;
  /** Whoever comes by there next stays. */
  stay(name: string): void;
  /** Resolves when somebody stays, with all of its processes. */
  staying(): Promise<readonly number[]>;
};

const processesMax = 3;

const stray = `#!/bin/sh
trap "" TERM HUP INT
echo $$ >> "$1"
while :; do sleep 1; done
`;

const staying = (dir: string): string => `#!/bin/sh
# Mostly does nothing. $1: its name.
mv "${dir}/stay-$1" "${dir}/stays" 2>/dev/null || exit 0
trap "" TERM HUP INT
setsid sh "${dir}/stray.sh" "${dir}/pids" &
( setsid sh "${dir}/stray.sh" "${dir}/pids" </dev/null >/dev/null 2>&1 & )
echo $$ >> "${dir}/pids"
while :; do sleep 1; done
`;

export function openStubborn(place: Place): Stubborn {
  const dir = place.path("stubborn");
  const pids = `${dir}/pids`;
  mkdirSync(dir);
  writeFileSync(`${dir}/stray.sh`, stray);
  writeFileSync(`${dir}/stay.sh`, staying(dir));
  return {
    command: (name) => `sh ${dir}/stay.sh ${name}`,
    stay(name) {
      rmSync(pids, { force: true });
      writeFileSync(`${dir}/stay-${name}`, "");
    },
    async staying() {
      const read = (): number[] =>
        existsSync(pids) ? readFileSync(pids, "utf8").trim().split("\n").map(Number) : [];
      return until("a command to stay", () => (read().length === processesMax ? read() : null), 60_000);
    },
  };
}

/** Those of the processes that still run. */
export const runningOf = (pids: readonly number[]): number[] =>
  pids.filter((pid) => startTimeOf(pid) !== null);
