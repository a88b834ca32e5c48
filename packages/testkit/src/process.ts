import { spawnSync } from "node:child_process";

export type ProcessInfo = { pid: number; parent: number; command: string };

const patterns = {
  broker: "nats.conf",
  orchestrator: "/orchestrator/src/main.ts",
  architect: "--role architect",
  performance: "--role performance",
  qa: "--role qa",
  ops: "--role ops",
  cli: "/cli/bin/questbus.cjs",
} as const;
/** A process of the local stack, by what it is. */
export type StackPart = keyof typeof patterns;

/** Every process of the machine (Linux and macOS); those that have ended and only wait for their parent are left out. */
function allProcesses(): ProcessInfo[] {
  const run = spawnSync("ps", ["-A", "-ww", "-o", "pid=,ppid=,stat=,args="], {
    encoding: "utf8",
    maxBuffer: 16_777_216,
  });
  return run.stdout.split("\n").flatMap((line) => {
    const [, pid, parent, state, command = ""] = /^\s*(\d+)\s+(\d+)\s+(\S+)\s+(.*)$/.exec(line) ?? [];
    return pid && !state?.startsWith("Z") ? [{ pid: Number(pid), parent: Number(parent), command }] : [];
  });
}

/** The processes whose command line names `dir`, and the guards of brokers among them. */
export function processesOf(dir: string): ProcessInfo[] {
  const all = allProcesses();
  const own = all.filter(({ command }) => command.includes(dir));
  const isGuard = ({ command }: ProcessInfo): boolean =>
    command.includes("questbus-broker-guard") && own.some(({ pid }) => command.endsWith(` ${pid}`));
  return [...own, ...all.filter(isGuard)];
}

/** The process id of one part of the stack that works on `stateDir`; null when it is not there now. */
export function pidOf(stateDir: string, part: StackPart): number | null {
  const found = processesOf(stateDir).find(
    ({ command }) => command.includes(patterns[part]) && !/^\S*sh -c/.test(command),
  );
  return found?.pid ?? null;
}
