import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { dirname, join } from "node:path";
import { limit } from "@questbus/protocol";

/** What one command may use at most. */
export type ResourceLimits = {
  /** Processes and threads, all together. */
  processes: number;
  /** With a control group all together, else of each process. */
  memoryBytes: number;
  /** The largest file. */
  fileBytes: number;
  /** What its own /tmp, and each other file system in memory, holds. */
  tmpBytes: number;
};

/** Nine tenths of the machine's memory: whatever a command does, what runs it goes on. */
export const usualLimits = (): ResourceLimits => ({
  processes: limit.sandboxProcessesMax,
  memoryBytes: Math.floor(totalmem() * 0.9),
  fileBytes: limit.sandboxFileBytesMax,
  tmpBytes: limit.sandboxTmpBytesMax,
});

/**
 * The kernel counts processes by user, and does not count those of root. A control group holds for everyone, and for
 * memory of all processes together; but only root can make one, where the machine lets it.
 */
export type ControlGroup = {
  /** The program and arguments that join it and then run `argv`. */
  wrap(argv: readonly string[]): [string, ...string[]];
  readonly memory: boolean;
  close(): void;
};

const joinScript = 'while [ "$1" != -- ]; do echo $$ >"$1" || exit 71; shift; done; shift; exec "$@"';

/** Makes or takes over the group `name`; null where that cannot be done. */
export function openControlGroup(name: string, limits: ResourceLimits): ControlGroup | null {
  const wanted = [
    { controller: "pids", files: ["pids.max"], value: limits.processes },
    { controller: "memory", files: ["memory.max", "memory.limit_in_bytes"], value: limits.memoryBytes },
  ];
  const made = wanted.flatMap(({ controller, files, value }) => {
    const dir = parentsOf(controller)
      .map((parent) => join(parent, name))
      .find((path) => files.some((file) => limited(path, file, value)));
    return dir === undefined ? [] : [{ controller, dir }];
  });
  if (!made.some(({ controller }) => controller === "pids")) return null;
  const dirs = [...new Set(made.map(({ dir }) => dir))];
  return {
    wrap: (argv) => [
      "/bin/sh",
      "-c",
      joinScript,
      "join",
      ...dirs.map((dir) => join(dir, "cgroup.procs")),
      "--",
      ...argv,
    ],
    memory: made.some(({ controller }) => controller === "memory"),
    close: () => {
      for (const dir of dirs) attempt(() => rmdirSync(dir));
    },
  };
}

function limited(dir: string, file: string, value: number): boolean {
  return attempt(() => {
    mkdirSync(dir, { recursive: true });
    // r+: where the file is not there the controller is not either
    writeFileSync(join(dir, file), String(value), { flag: "r+" });
  });
}

function attempt(work: () => void): boolean {
  try {
    work();
    return true;
  } catch {
    return false;
  }
}

/** Where groups with that controller can be made: below this process's own, beside it, or at the top. */
function parentsOf(controller: string): string[] {
  let text = "";
  attempt(() => {
    text = readFileSync("/proc/self/cgroup", "utf8");
  });
  return text.split("\n").flatMap((line) => {
    const [, controllers = "", path = ""] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (controllers.split(",").includes(controller)) return [join("/sys/fs/cgroup", controller, path)];
    if (controllers !== "" || path === "") return [];
    return [join("/sys/fs/cgroup", path), join("/sys/fs/cgroup", dirname(path)), "/sys/fs/cgroup"];
  });
}

const cpuCount = cpus().length;

/** Each as a hard limit, which nobody inside can raise again. `-p` and `-u`: the names that shells have for one thing. */
const limitScript =
  'ulimit -c 0; ulimit -f "$1" && ulimit -t "$2" || exit 71; [ "$3" = 0 ] || ulimit -d "$3" || exit 71; { ulimit -p "$4" || ulimit -u "$4"; } 2>/dev/null || exit 71; shift 4; exec "$@"';

/** The program and arguments that run `argv` within the limits of a process. */
export function underLimits(
  argv: readonly string[],
  limits: ResourceLimits,
  { timeoutMs, memory }: { timeoutMs: number; memory: boolean },
): [string, ...string[]] {
  const fileBlocks = Math.floor(limits.fileBytes / 512);
  // no process can use more in the time it has
  const cpuSeconds = Math.ceil(timeoutMs / 1_000 + 1) * cpuCount;
  const dataKib = memory ? Math.floor(limits.memoryBytes / 1_024) : 0;
  const values = [fileBlocks, cpuSeconds, dataKib, limits.processes].map(String);
  return ["/bin/sh", "-c", limitScript, "limits", ...values, ...argv];
}
