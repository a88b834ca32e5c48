import { type ChildProcess, fork } from "node:child_process";
import { randomUUID } from "node:crypto";
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { delimiter, join, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import {
  type AgentId,
  type Broker,
  type Credentials,
  connectBus,
  createClient,
  credentialPath,
  ensureCredentials,
  findBroker,
  startBroker,
  writeBrokerConfig,
} from "@questbus/bus";
import { type Fault, QuestbusError, type Role, roles, spaceDefault } from "@questbus/protocol";
import { startTimeOf, sweepRunHomes } from "@questbus/workbench";
import { z } from "zod";
import { nextBackupMs, readSettings, type Settings } from "./setting.ts";

/**
 * The local stack: broker, orchestrator and one agent a role, as processes of this one.
 *
 * Owns those processes and `stack.json`, which says where the broker listens and who started it. A child that dies is
 * started again, the broker on its old port. Invariants: K1 when this process ends, by whatever end, all of them do;
 * K2 one stack a state directory (the store's lock decides); K3 no secret in an argument, the environment or a log.
 */
export type Stack = { url: string; space: string; broker: string; stop(): Promise<void> };
/** `id`: this very stack, and no later one on the same state. */
export type StackAddress = { url: string; space: string; id: string };

const principalsOfStack: readonly AgentId[] = [
  ...roles.map((role) => ({ role, name: role })),
  { role: "operator", name: "operator" },
  { role: "arbiter", name: "arbiter" },
  { role: "worker", name: "worker" },
];

const stackFile = (dir: string): string => join(dir, "stack.json");
const stackRecord = z.object({
  id: z.string(),
  url: z.string(),
  space: z.string(),
  pid: z.int(),
  /** When that process started: a number alone comes again, after a reboot or in a container. */
  start: z.string(),
});

const restartWaitMs = { first: 100, max: 5_000 } as const;
/** A child that lived this long had started well, so that its next restart waits the short time again. */
const steadyMs = 10_000;
const readyMsMax = 20_000;
/** How long the orchestrator of a stack that is ending is waited for. */
const lockWaitMsMax = 3_000;
const stopMsMax = 8_000;
const probeMs = 2_000;
/** Longest that a timer of Node holds is 24 days; a clock that was set is noticed sooner. */
const timerMsMax = 60_000;

const programOf = {
  orchestrator: fileURLToPath(import.meta.resolve("@questbus/orchestrator/main")),
  agent: fileURLToPath(import.meta.resolve("@questbus/agent/main")),
  cli: fileURLToPath(new URL("./main.ts", import.meta.url)),
};

const ownModules = fileURLToPath(new URL("../../../node_modules", import.meta.url));
/** Compiled code of these processes; kept beside the packages, so that nobody else can write it. */
const compileCache = join(ownModules, ".cache", "compile");

/** The PATH without our own programs, which npm and npx put first: a target's commands run with its user's Node. */
const userPath = (path: string): string =>
  path
    .split(delimiter)
    .filter((folder) => !resolve(folder).startsWith(ownModules))
    .join(delimiter);

function recordOf(dir: string): z.infer<typeof stackRecord> | null {
  try {
    return stackRecord.parse(JSON.parse(readFileSync(stackFile(dir), "utf8")));
  } catch {
    return null;
  }
}

/** Where the stack of a state directory listens; null when none is running. */
export function findStack(dir: string): StackAddress | null {
  const record = recordOf(dir);
  if (!record || startTimeOf(record.pid) !== record.start) return null;
  const { id, url, space } = record;
  return { id, url, space };
}

/**
 * The broker that NATS_URL names, without user and password: credentials are nkeys in files, and an address is shown,
 * logged and passed on.
 *
 * @throws QuestbusError USAGE when it is not one address
 */
export function givenBroker(env: NodeJS.ProcessEnv): string | null {
  const text = env.NATS_URL?.trim();
  if (!text) return null;
  const withScheme = text.includes("://") ? text : `nats://${text}`;
  const url = URL.canParse(withScheme) ? new URL(withScheme) : null;
  if (url?.hostname && !text.includes(",")) return `${url.protocol}//${url.host}`;
  throw new QuestbusError({
    code: "USAGE",
    message: "NATS_URL is not the address of one broker",
    next: "write it as nats://127.0.0.1:4222, or unset it to use the bundled broker",
  });
}

export const notRunning = (dir: string): QuestbusError =>
  new QuestbusError({
    code: "NOT_RUNNING",
    message: `no Questbus is running on ${dir}`,
    next: "start one with questbus up, or name another --state DIR",
  });

/** @throws QuestbusError STATE_LOCKED, STATE_NEWER, BROKER_MISSING, BUS_UNAVAILABLE */
export async function startStack(
  stateDir: string,
  options: { space?: string; agents?: boolean } = {},
): Promise<Stack> {
  const dir = resolve(stateDir);
  const space = options.space ?? spaceDefault;
  mkdirSync(join(dir, "log"), { recursive: true, mode: 0o700 });
  const settings = readSettings(dir);
  const credentials = ensureCredentials({ dir, agents: principalsOfStack });
  const supervisor = new Supervisor(dir, space, credentials, settings);
  try {
    await supervisor.start(options.agents === false ? [] : roles);
    return { url: supervisor.url, space, broker: supervisor.brokerName, stop: () => supervisor.stop() };
  } catch (error) {
    await supervisor.stop();
    throw error;
  }
}

class Supervisor {
  readonly #dir: string;
  readonly #space: string;
  readonly #credentials: Credentials;
  readonly #settings: Settings;
  readonly #children = new Map<string, ChildProcess>();
  readonly #guards: Promise<void>[] = [];
  #broker: Broker | null = null;
  #stopping = new AbortController();
  url = "";
  brokerName = "";

  constructor(dir: string, space: string, credentials: Credentials, settings: Settings) {
    this.#settings = settings;
    this.#dir = dir;
    this.#space = space;
    this.#credentials = credentials;
  }

  /** `agents`: the roles that get one. */
  async start(agents: readonly Role[]): Promise<void> {
    await sweepRunHomes();
    const given = givenBroker(process.env);
    if (given) {
      this.url = given;
      this.brokerName = `NATS_URL ${given}`;
      await this.#startOrchestrator().catch((error: unknown) => {
        if (error instanceof QuestbusError && error.code === "BUS_UNAVAILABLE")
          this.#refuseBroker(/^no broker answers: (.*)/s.exec(error.message)?.[1]);
        throw error;
      });
      if (!(await this.#isServed())) this.#refuseBroker();
    } else {
      await this.#startBroker();
      await this.#startOrchestrator();
    }
    for (const role of agents)
      this.#keep(() => this.#fork(role, programOf.agent, ["--role", role, "--name", role]));
    this.#guards.push(this.#keepBackups());
    const { pid } = process;
    const record = { id: randomUUID(), url: this.url, space: this.#space, pid, start: startTimeOf(pid) };
    const fresh = `${stackFile(this.#dir)}.${process.pid}`;
    writeFileSync(fresh, JSON.stringify(record), { mode: 0o600 });
    renameSync(fresh, stackFile(this.#dir));
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    const agents = [...roles, "backup"].flatMap((name) => this.#children.get(name) ?? []);
    await Promise.all(agents.map(endChild));
    const orchestrator = this.#children.get("orchestrator");
    if (orchestrator) await endChild(orchestrator);
    await this.#broker?.stop();
    await Promise.all(this.#guards);
    // Last, so that who waits for it to go can start anew at once. Another stack's record stays: this one was refused.
    if (recordOf(this.#dir)?.pid === process.pid) rmSync(stackFile(this.#dir), { force: true });
  }

  /** True when an agent's command reaches the orchestrator: only with the accounts of this state directory does it. */
  async #isServed(): Promise<boolean> {
    const connection = await connectBus({
      url: this.url,
      space: this.#space,
      credential: credentialPath(this.#dir, "qa", "qa"),
    });
    try {
      await createClient(connection).request(
        "renew",
        { assignment: "q-00000000.qa", epoch: 1 },
        { retryForMs: probeMs },
      );
      return true;
    } catch (error) {
      return error instanceof QuestbusError && error.code === "QUEST_NOT_FOUND";
    } finally {
      await connection.close();
    }
  }

  /** @throws QuestbusError BUS_UNAVAILABLE, with the configuration that the operator's own broker needs. */
  #refuseBroker(unanswered?: string): never {
    const port = Number(new URL(this.url).port || 4222);
    const config = writeBrokerConfig({
      dir: this.#dir,
      credentials: this.#credentials,
      port,
      space: this.#space,
    });
    throw new QuestbusError({
      code: "BUS_UNAVAILABLE",
      message: unanswered
        ? `the broker that NATS_URL names cannot be reached: ${unanswered}`
        : "the broker that NATS_URL names does not have the accounts of this state directory",
      where: this.url,
      next: `run it with the configuration that was written for it: nats-server -c ${config}; or unset NATS_URL`,
    });
  }

  async #startBroker(): Promise<void> {
    const found = findBroker(process.env);
    this.brokerName = `${found.from === "bundled" ? "bundled nats-server" : found.path}`;
    const start = async (port?: number): Promise<Broker> => {
      const { onLog, close } = logFile(join(this.#dir, "log", "broker.log"));
      const options = {
        dir: this.#dir,
        binary: found.path,
        credentials: this.#credentials,
        space: this.#space,
        onLog,
      };
      const broker = await startBroker(port === undefined ? options : { ...options, port });
      void broker.exited.then(close);
      return broker;
    };
    this.#broker = await start();
    this.url = this.#broker.url;
    const { port } = this.#broker;
    this.#guards.push(this.#guardBroker(() => start(port)));
  }

  /** A broker that dies is started again on its port: everyone reconnects by themselves. */
  async #guardBroker(restart: () => Promise<Broker>): Promise<void> {
    while (this.#broker) {
      await this.#broker.exited;
      if (this.#stopping.signal.aborted) return;
      this.#broker = await restart().catch(() => this.#broker);
      if (this.#stopping.signal.aborted) return this.#broker?.stop();
      await this.#pause(restartWaitMs.first);
    }
  }

  async #startOrchestrator(): Promise<void> {
    const { backups, checkpoints } = this.#settings;
    const kept = ["--backups", backups.dir, ...(checkpoints ? ["--checkpoints", checkpoints] : [])];
    const begin = (): ChildProcess => this.#fork("orchestrator", programOf.orchestrator, kept);
    const untilMs = performance.now() + lockWaitMsMax;
    for (;;) {
      const child = begin();
      try {
        await untilReady(child, this.#dir);
        return this.#keep(begin, child);
      } catch (error) {
        // One whose parent was just killed is about to end.
        const locked = error instanceof QuestbusError && error.code === "STATE_LOCKED";
        if (!locked || performance.now() > untilMs) throw error;
      }
      await this.#pause(restartWaitMs.first);
    }
  }

  /** A backup whenever one is due, by a process of its own that gives way to all others. */
  async #keepBackups(): Promise<void> {
    const { backups } = this.#settings;
    const sinceMs = Date.now();
    while (!this.#stopping.signal.aborted) {
      const waitMs = nextBackupMs(backups, sinceMs) - Date.now();
      if (waitMs > 0) await this.#pause(Math.min(waitMs, timerMsMax));
      else {
        const args = ["backup", "create", "--keep", `${backups.keep}`];
        await exitOf(this.#forkOn("backup", programOf.cli, args));
        await this.#pause(restartWaitMs.max);
      }
    }
  }

  /** Starts a part of the stack. */
  #fork(name: string, program: string, args: string[]): ChildProcess {
    return this.#forkOn(name, program, [...args, "--url", this.url, "--space", this.#space]);
  }

  /** Starts a program of ours on the state directory, with a log of its own. */
  #forkOn(name: string, program: string, args: string[]): ChildProcess {
    const log = openSync(join(this.#dir, "log", `${name}.log`), "a", 0o600);
    const env: NodeJS.ProcessEnv = {
      ...process.env,
      PATH: userPath(process.env.PATH ?? ""),
      NODE_COMPILE_CACHE: compileCache,
    };
    delete env.NATS_URL;
    const child = fork(program, [...args, "--state", this.#dir], {
      stdio: ["ignore", log, log, "ipc"],
      env,
      execArgv: [],
      detached: true,
    });
    closeSync(log);
    this.#children.set(name, child);
    return child;
  }

  /** Starts a child, and again whenever it dies, with a growing pause while it dies young. */
  #keep(begin: () => ChildProcess, running?: ChildProcess): void {
    const guard = async (): Promise<void> => {
      let child = running ?? begin();
      let waitMs: number = restartWaitMs.first;
      for (;;) {
        const sinceMs = performance.now();
        await exitOf(child);
        if (this.#stopping.signal.aborted) return;
        waitMs =
          performance.now() - sinceMs > steadyMs
            ? restartWaitMs.first
            : Math.min(waitMs * 2, restartWaitMs.max);
        await this.#pause(waitMs);
        if (this.#stopping.signal.aborted) return;
        child = begin();
      }
    };
    this.#guards.push(guard());
  }

  #pause(ms: number): Promise<void> {
    return delay(ms, undefined, { signal: this.#stopping.signal }).catch(() => {});
  }
}

function exitOf(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((done) => child.once("exit", () => done()));
}

/** SIGTERM, and SIGKILL when that is not enough. */
async function endChild(child: ChildProcess): Promise<void> {
  const timer = setTimeout(() => child.kill("SIGKILL"), stopMsMax);
  child.kill("SIGTERM");
  await exitOf(child);
  clearTimeout(timer);
}

/** Waits for the word `ready`; a child that cannot start says why. */
async function untilReady(child: ChildProcess, dir: string): Promise<void> {
  const said = await new Promise<{ ready?: true; faults?: Fault[] }>((done) => {
    const timer = setTimeout(() => done({}), readyMsMax);
    child.once("message", (message) => {
      clearTimeout(timer);
      done(message as { ready?: true; faults?: Fault[] });
    });
    child.once("exit", () => {
      clearTimeout(timer);
      done({});
    });
  });
  if (said.ready) return;
  const [first, ...rest] = said.faults ?? [];
  const unsaid: Fault = {
    code: "INTERNAL",
    message: "the orchestrator did not start",
    where: join(dir, "log", "orchestrator.log"),
    next: "read the log",
  };
  throw new QuestbusError(first ?? unsaid, ...rest);
}

function logFile(path: string): { onLog(line: string): void; close(): void } {
  const file = openSync(path, "a", 0o600);
  let open = true;
  return {
    onLog: (line) => {
      if (open) writeFileSync(file, `${line}\n`);
    },
    close: () => {
      if (open) closeSync(file);
      open = false;
    },
  };
}

export const hasState = (dir: string): boolean => existsSync(join(dir, "questbus.db"));
