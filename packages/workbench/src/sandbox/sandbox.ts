import { AsyncLocalStorage } from "node:async_hooks";
import { spawnSync } from "node:child_process";
import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { type NetworkUser, QuestbusError, type SandboxLevel, type SandboxPolicy } from "@questbus/protocol";
import { bubblewrapArgv } from "./bubblewrap.ts";
import type { Containment } from "./containment.ts";
import { mountsFor, objectPlaces, programPlaces, resolverPlaces, toolPlaces } from "./mount.ts";
import { canBringLoopbackUp, namespacesArgv } from "./namespaces.ts";
import { openControlGroup, type ResourceLimits, underLimits, usualLimits } from "./resource-limit.ts";

/**
 * Shuts in what a quest's commands run: their own processes, network and temporary files, a file system of which they
 * can write their tree alone, no privileges, and bounds on what they use. Owns no process: {@link runCommand} does.
 *
 * Invariants:
 * S1: nothing outside of the tree, HOME, TMPDIR and what is granted can be written.
 * S2: homes, temporary files, sockets below /run and the state directory cannot be seen, but for what is put back.
 * S3: no process outside can be seen, and nothing reached on any network, this machine's loopback included, unless that
 *     is granted.
 * S4: when its first process ends, all of them do.
 */
export type Sandbox = {
  readonly level: SandboxLevel;
  /** The program and arguments that run `argv` inside. */
  wrap(argv: readonly string[], run: ContainedRun): [string, ...string[]];
  close(): void;
};

/** What a command is allowed beyond its tree. */
export type SandboxGrant = {
  network?: boolean | undefined;
  reads?: readonly string[] | undefined;
  writes?: readonly string[] | undefined;
  /** Somebody outside joins its network, to ask a server that it starts. */
  asked?: boolean | undefined;
};

export type ContainedRun = {
  cwd: string;
  path: string;
  /** What it is given besides the usual: HOME and TMPDIR of its own, and places of tools. */
  env: Readonly<Record<string, string>>;
  grant: SandboxGrant;
  timeoutMs: number;
};

type Contain = (argv: readonly string[], containment: Containment) => [string, ...string[]];

/** From the best to the least; `nested`: what only newer versions of bubblewrap can forbid. */
const ways: readonly { level: SandboxLevel; contain: Contain; nested: boolean; can: () => boolean }[] = [
  { level: "bubblewrap", contain: bubblewrapArgv, nested: false, can: () => true },
  { level: "bubblewrap", contain: bubblewrapArgv, nested: true, can: () => true },
  { level: "namespaces", contain: namespacesArgv, nested: true, can: canBringLoopbackUp },
];

const none: Sandbox = { level: "none", wrap: (argv) => argv as [string, ...string[]], close: () => {} };

export type SandboxOptions = {
  policy: SandboxPolicy;
  /** What no command may see: the state directory. */
  hidden: readonly string[];
  /** Names the control group, so that a successor takes it over. */
  owner?: string;
  limits?: Partial<ResourceLimits>;
  /** The best level to try. */
  from?: Exclude<SandboxLevel, "none">;
};

/**
 * Opens the best sandbox that works here, which is seen by running a program in it.
 * @throws SANDBOX_MISSING when there is none and the policy asks for one
 */
export function openSandbox({ policy, hidden, owner, limits, from }: SandboxOptions): Sandbox {
  if (policy === "off") return none;
  const within = { ...usualLimits(), ...limits };
  const group = owner === undefined ? null : openControlGroup(`questbus-${owner}`, within);
  for (const { level, contain, nested, can } of ways) {
    if (from === "namespaces" && level !== "namespaces") continue;
    const sandbox: Sandbox = {
      level,
      close: () => group?.close(),
      wrap: (argv, { cwd, path, env, grant, timeoutMs }) => {
        const at = realpathSync(cwd);
        const own = [env.HOME, env.TMPDIR].filter((each) => each !== undefined && each !== homedir());
        const mounts = mountsFor({
          hidden,
          reads: [
            ...programPlaces(path),
            ...toolPlaces(env),
            ...objectPlaces(at),
            ...(grant.network ? resolverPlaces() : []),
            ...(grant.reads ?? []),
          ],
          writes: [at, ...(own as string[]), ...(grant.writes ?? [])],
        });
        const limited = underLimits(argv, within, { timeoutMs, memory: !group?.memory });
        const inside = contain(limited, {
          mounts,
          cwd: at,
          network: grant.network ?? false,
          tmpBytes: within.tmpBytes,
          nested: nested || (grant.asked ?? false),
        });
        return group ? group.wrap(inside) : inside;
      },
    };
    if (can() && works(sandbox)) return sandbox;
  }
  group?.close();
  if (policy === "preferred") return none;
  throw sandboxMissing();
}

function works(sandbox: Sandbox): boolean {
  const cwd = mkdtempSync(join(tmpdir(), "questbus-run-try-"));
  try {
    const run = { cwd, path: process.env.PATH ?? "", env: {}, grant: {}, timeoutMs: tryMs };
    const [program, ...args] = sandbox.wrap(["/bin/sh", "-c", "echo inside"], run);
    const tried = spawnSync(program, args, { cwd, encoding: "utf8", timeout: tryMs, killSignal: "SIGKILL" });
    return tried.status === 0 && tried.stdout === "inside\n";
  } finally {
    rmSync(cwd, { recursive: true, force: true });
  }
}

const tryMs = 10_000;

const sandboxMissing = (): QuestbusError =>
  new QuestbusError({
    code: "SANDBOX_MISSING",
    message:
      process.platform === "linux"
        ? "commands of a quest cannot be shut in here: neither bubblewrap nor namespaces (unshare) work"
        : `commands of a quest cannot be shut in on ${process.platform}: bubblewrap and namespaces are Linux's`,
    where: "sandbox",
    next: "apt-get install bubblewrap; where the machine forbids namespaces, as many containers do, and you trust all that the quest runs, --unsafe-no-sandbox",
  });

/** A sandbox, and whom of a quest the operator gave the network. */
type Entered = { sandbox: Sandbox; network: readonly NetworkUser[] };
const entered = new AsyncLocalStorage<Entered>();

/**
 * Does `work` with its commands shut in. It goes along with the asynchronous context, as the lease does, and for the same
 * reason: one call that forgot to pass it on would be a hole.
 */
export const underSandbox = <T>(of: Entered, work: () => Promise<T>): Promise<T> => entered.run(of, work);

/** Null outside of any, and where there is none. */
export function workSandbox(): Entered | null {
  const found = entered.getStore();
  return found === undefined || found.sandbox.level === "none" ? null : found;
}
