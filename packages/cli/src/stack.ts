import { type ChildProcess, fork } from "node:child_process";
import { closeSync, mkdirSync, openSync } from "node:fs";
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
  givenBroker,
  nodeDir,
  planBrokers,
  startBroker,
  systemTime,
  watchCredentials,
  writeBrokerConfig,
} from "@questbus/bus";
import {
  type ErrorCode,
  faultsOf,
  QuestbusError,
  type Role,
  roles,
  type SandboxLevel,
  type SandboxPolicy,
  spaceDefault,
} from "@questbus/protocol";
import { sweepRunHomes } from "@questbus/workbench/run-home";
import { openSandbox } from "@questbus/workbench/sandbox";
import { keepBackups } from "./backup-schedule.ts";
import { type BrokerRefusals, tellRefusals } from "./broker-refusals.ts";
import { endChild, exitOf, logFile, openDeaths, type Said, steadyMs, untilReady } from "./child.ts";
import { type Cluster, ensureCluster } from "./cluster.ts";
import { watchEnded } from "./ended-trees.ts";
import { endWhenSilent } from "./heartbeat.ts";
import { note, paintError } from "./output.ts";
import { readSettings, sandboxPolicy } from "./setting.ts";
import { forgetStack, recordStack, refuseRunning } from "./stack-record.ts";
import { refuseLost } from "./state-dir.ts";

/**
 * The local stack: broker, orchestrator and one agent a role, as processes of this one; of a cluster, broker and
 * orchestrator for each node.
 *
 * Owns those processes and `stack.json`, which says where the broker listens and who started it. A child that dies is
 * started again, the broker on its old port. Invariants: K1 when this process ends, by whatever end, all of them do;
 * K2 one stack a state directory (the store's lock decides); K3 no secret in an argument, the environment or a log.
 */
export type Stack = { url: string; space: string; broker: string; stop(): Promise<void> };

const principalsOfStack: readonly AgentId[] = [
  ...roles.map((role) => ({ role, name: role })),
  { role: "operator", name: "operator" },
  { role: "arbiter", name: "arbiter" },
  { role: "worker", name: "worker" },
];

const restartWaitMs = { first: 100, max: 5_000 } as const;
/** A child that lived this long had started well, so that its next restart waits the short time again. */
const readyMsMax = 20_000;
/** How long the orchestrator of a stack that is ending is waited for. */
const lockWaitMsMax = 3_000;
const probeMs = 2_000;
/** What a broker without our accounts comes to. */
const brokerCodes: readonly ErrorCode[] = ["BUS_UNAVAILABLE", "CREDENTIAL_REFUSED"];

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

export type StackOptions = {
  space?: string;
  /** The roles that get an agent; all by default. */
  agents?: readonly Role[];
  /** What the command line says; absent: nothing. */
  sandbox?: SandboxPolicy | undefined;
  /** The nodes of the cluster that is to be started; without it, a single orchestrator. */
  cluster?: number | undefined;
  /** What an operator in front of it is told: who leads now, which node cannot go on, and what died. */
  onNews?: (text: string) => void;
};

/** @throws QuestbusError SANDBOX_MISSING, STATE_LOCKED, STATE_MISSING, STATE_NEWER, BROKER_MISSING, BUS_UNAVAILABLE */
export async function startStack(stateDir: string, options: StackOptions = {}): Promise<Stack> {
  const dir = resolve(stateDir);
  const { space = spaceDefault, onNews = () => {} } = options;
  refuseRunning(dir);
  const cluster = ensureCluster(dir, options.cluster);
  const settings = await readSettings(dir);
  if (!cluster) refuseLost(dir, settings.backups.dir);
  mkdirSync(join(dir, "log"), { recursive: true, mode: 0o700 });
  const sandbox = sandboxPolicy(options.sandbox, process.env, settings);
  const credentials = ensureCredentials({ dir, agents: principalsOfStack });
  const supervisor = new Supervisor({ dir, space, credentials, cluster, sandbox, onNews });
  try {
    await supervisor.start(options.agents ?? roles);
    return { url: supervisor.url, space, broker: supervisor.brokerName, stop: () => supervisor.stop() };
  } catch (error) {
    await supervisor.stop();
    throw error;
  }
}

function tellLevel(level: SandboxLevel): void {
  const text = "no sandbox: nothing stands between this machine and the commands of its quests";
  if (level === "none") note(paintError("yellow", text));
}

type Parts = {
  dir: string;
  space: string;
  credentials: Credentials;
  cluster: Cluster | null;
  sandbox: SandboxPolicy;
  onNews: (text: string) => void;
};
/**
 * One orchestrator: its name among the children, its state directory, and what it is started with besides. `url` is told to
 * it once there is one: it loads its code, most of a start, while its broker begins.
 */
type Seat = { name: string; dir: string; url: Promise<string>; args: string[] };

class Supervisor {
  readonly #dir: string;
  readonly #space: string;
  #credentials: Credentials;
  readonly #cluster: Cluster | null;
  readonly #sandbox: SandboxPolicy;
  readonly #onNews: (text: string) => void;
  readonly #children = new Map<string, ChildProcess>();
  readonly #brokers = new Map<string, Broker>();
  readonly #guards: Promise<void>[] = [];
  readonly #refusals: BrokerRefusals;
  #seats: readonly Seat[] = [];
  #stopping = new AbortController();
  #unwatch: () => void = () => {};
  #endedWatch: Promise<(() => Promise<void>) | null> = Promise.resolve(null);
  url = "";
  brokerName = "";

  constructor({ dir, space, credentials, cluster, sandbox, onNews }: Parts) {
    this.#sandbox = sandbox;
    this.#dir = dir;
    this.#space = space;
    this.#credentials = credentials;
    this.#cluster = cluster;
    this.#onNews = onNews;
    this.#refusals = tellRefusals({ dir, address: () => ({ url: this.url, space }) });
    this.#refusals.know(credentials);
  }

  /** `agents`: the roles that get one. */
  async start(agents: readonly Role[]): Promise<void> {
    await sweepRunHomes();
    const given = this.#cluster ? null : givenBroker(process.env);
    const broker = Promise.withResolvers<string>();
    if (!this.#cluster)
      this.#seats = [{ name: "orchestrator", dir: this.#dir, url: broker.promise, args: [] }];
    const started = this.#cluster ? null : this.#startOrchestrators();
    started?.catch(() => {});
    if (given) {
      this.url = given;
      this.brokerName = `NATS_URL ${given}`;
    } else await (this.#cluster ? this.#startBrokers(this.#cluster) : this.#startBroker());
    broker.resolve(this.url);
    // Tried while the orchestrator loads its code.
    if (agents.length > 0) tellLevel(openSandbox({ policy: this.#sandbox, hidden: [] }).level);
    await (started ?? this.#startOrchestrators()).catch((error: unknown) => {
      const isBrokers = error instanceof QuestbusError && brokerCodes.includes(error.code);
      if (given && isBrokers) this.#refuseBroker(/^no broker answers: (.*)/s.exec(error.message)?.[1]);
      throw error;
    });
    if (given && !(await this.#isServed())) this.#refuseBroker();
    if (this.#cluster && !(await this.#isServed(readyMsMax))) throw noLeader(this.#dir);
    this.#unwatch = watchCredentials(this.#dir, () => this.#takeUp());
    this.#takeUp();
    for (const role of agents) this.#keep(role, () => this.#forkAgent(role));
    for (const { dir } of this.#seats) this.#guards.push(this.#keepBackups(dir));
    recordStack(this.#dir, { url: this.url, space: this.#space });
    this.#endedWatch = watchEnded(this.#dir, { url: this.url, space: this.#space }).catch(() => null);
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#unwatch();
    await this.#refusals.stop();
    const last = new Set(this.#seats.map(({ name }) => name));
    await Promise.all(
      [...this.#children].filter(([name]) => !last.has(name)).map(([, each]) => endChild(each)),
    );
    await (await this.#endedWatch)?.();
    await Promise.all(this.#seats.flatMap(({ name }) => this.#children.get(name) ?? []).map(endChild));
    await Promise.all([...this.#brokers.values()].map((broker) => broker.stop()));
    await Promise.all(this.#guards);
    // Last, so that who waits for it to go can start anew at once. This one may have been refused beside another.
    forgetStack(this.#dir);
  }

  /** Agents were added or revoked: the brokers let in who has a credential now. */
  #takeUp(): void {
    const keysOf = ({ agents }: Credentials): string => agents.map(({ publicKey }) => publicKey).join();
    try {
      const credentials = ensureCredentials({ dir: this.#dir, agents: principalsOfStack });
      if (keysOf(credentials) === keysOf(this.#credentials)) return;
      this.#credentials = credentials;
      this.#refusals.know(credentials);
      for (const broker of this.#brokers.values()) broker.reload(credentials);
      if (this.#brokers.size > 0) return;
      const next = `nats-server --signal reload, with ${this.#writeGivenConfig()}`;
      this.#onNews(`agents have changed: have the broker read its configuration again: ${next}`);
    } catch (error) {
      this.#onNews(`the agents that changed were not taken up: ${faultsOf(error)[0]?.message}`);
    }
  }

  /** The configuration that the operator's own broker needs. */
  #writeGivenConfig(): string {
    const port = Number(new URL(this.url).port || 4222);
    return writeBrokerConfig({ dir: this.#dir, credentials: this.#credentials, port, space: this.#space });
  }

  /** True when an agent's command reaches the orchestrator: only with the accounts of this state directory does it. */
  async #isServed(retryForMs: number = probeMs): Promise<boolean> {
    const connection = await connectBus({
      url: this.url,
      space: this.#space,
      credential: credentialPath(this.#dir, "qa", "qa"),
    });
    try {
      await createClient(connection).request(
        "renew",
        { assignment: "q-00000000.qa", epoch: 1 },
        { retryForMs },
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
    const config = this.#writeGivenConfig();
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
    const options = this.#brokerOptions();
    const begin = (onLog: (line: string) => void, port?: number): Promise<Broker> =>
      startBroker({ ...options, credentials: options.credentials(), dir: this.#dir, onLog, port });
    this.url = (await this.#keepBroker("broker", begin)).url;
  }

  /** One broker a node; each orchestrator turns to that of its own node first. */
  async #startBrokers({ nodes, secret, installation }: Cluster): Promise<void> {
    const plan = await planBrokers({ ...this.#brokerOptions(), dir: this.#dir, nodes, secret });
    this.url = plan.urlFor();
    await Promise.all(
      nodes.map((node) => this.#keepBroker(`broker-${node}`, (onLog) => plan.start(node, onLog))),
    );
    const standby = ["--credentials", this.#dir, "--installation", installation];
    this.#seats = nodes.map((node) => ({
      name: `orchestrator-${node}`,
      dir: nodeDir(this.#dir, node),
      url: Promise.resolve(plan.urlFor(node)),
      args: [...standby, "--node", node, "--replicas", `${nodes.length}`],
    }));
  }

  /** `credentials`: of those who have one when a broker is started. */
  #brokerOptions(): { binary: string; credentials: () => Credentials; space: string } {
    const found = findBroker(process.env);
    this.brokerName = `${found.from === "bundled" ? "bundled nats-server" : found.path}`;
    return { binary: found.path, credentials: () => this.#credentials, space: this.#space };
  }

  /** Starts a broker, and again on its port whenever it dies: everyone reconnects by themselves. */
  async #keepBroker(
    name: string,
    begin: (onLog: (line: string) => void, port?: number) => Promise<Broker>,
  ): Promise<Broker> {
    const start = async (port?: number): Promise<Broker> => {
      const { onLog, close } = logFile(join(this.#dir, "log", `${name}.log`));
      const given = this.#credentials;
      const broker = await begin((line) => {
        if (this.#refusals.take(line)) onLog(line);
      }, port);
      void broker.exited.then(close);
      this.#brokers.set(name, broker);
      // Who was revoked while it started must not stay in until the next one is.
      if (this.#credentials !== given) broker.reload(this.#credentials);
      return broker;
    };
    const first = await start();
    const newsOf = openDeaths(name, join(this.#dir, "log", `${name}.log`));
    const guard = async (): Promise<void> => {
      for (let broker = first; ; ) {
        const sinceMs = performance.now();
        const { code, signal } = await broker.exited;
        if (this.#stopping.signal.aborted) return;
        this.#tellDeath(newsOf({ exitCode: code, signalCode: signal }, performance.now() - sinceMs));
        broker = await start(first.port).catch(() => broker);
        if (this.#stopping.signal.aborted) return broker.stop();
        await this.#pause(restartWaitMs.first);
      }
    };
    this.#guards.push(guard());
    return first;
  }

  /** Starts every orchestrator; of a cluster one is enough to go on with. */
  async #startOrchestrators(): Promise<void> {
    const started = await Promise.allSettled(this.#seats.map((seat) => this.#startOrchestrator(seat)));
    const failed = started.flatMap((each) => (each.status === "rejected" ? [each.reason as unknown] : []));
    if (failed.length === this.#seats.length) throw failed[0];
  }

  async #startOrchestrator(seat: Seat): Promise<void> {
    const { backups, checkpoints } = await readSettings(seat.dir);
    const kept = ["--backups", backups.dir, ...(checkpoints ? ["--checkpoints", checkpoints] : [])];
    const args = [...kept, ...seat.args, "--space", this.#space];
    const begin = (): ChildProcess => {
      const child = this.#forkOn(seat.name, programOf.orchestrator, args, seat.dir);
      child.on("message", (said) => this.#tell(seat, said as Said));
      // One that has ended meanwhile is told nothing.
      void seat.url.then((url) => child.connected && child.send({ url }, () => {}));
      return child;
    };
    const untilMs = performance.now() + lockWaitMsMax;
    for (;;) {
      this.#stopping.signal.throwIfAborted();
      const child = begin();
      try {
        await untilReady(child, join(this.#dir, "log", `${seat.name}.log`));
        return this.#keep(seat.name, begin, child);
      } catch (error) {
        // One whose parent was just killed is about to end.
        const locked = error instanceof QuestbusError && error.code === "STATE_LOCKED";
        if (!locked || performance.now() > untilMs) {
          if (this.#cluster) this.#keep(seat.name, begin, child);
          throw error;
        }
      }
      await this.#pause(restartWaitMs.first);
    }
  }

  readonly #told = new Map<string, string>();

  /** Passes on what an archive cannot do, and what a node of a cluster says, once for as long as it is the same. */
  #tell({ name }: Seat, { leads, faults, archive }: Said): void {
    if (this.#stopping.signal.aborted) return;
    if (archive) this.#onNews(`${name}: what is kept outside of the database: ${archive}`);
    if (!this.#cluster) return;
    const node = name.replace("orchestrator-", "");
    const [fault] = faults ?? [];
    const text = leads
      ? `${node} leads (epoch ${leads})`
      : fault &&
        `${node} does not go on: ${fault.code}: ${fault.message}${fault.next ? `; ${fault.next}` : ""}`;
    if (!text || this.#told.get(node) === text) return;
    this.#told.set(node, text);
    this.#onNews(text);
  }

  /** A backup whenever one is due, by a process of its own that gives way to all others. */
  async #keepBackups(dir: string): Promise<void> {
    const { backups } = await readSettings(dir);
    const args = ["backup", "create", "--keep", `${backups.keep}`];
    let fails = false;
    const create = async (): Promise<boolean> => {
      const child = this.#forkOn(`backup ${dir}`, programOf.cli, args, dir);
      await exitOf(child);
      const made = child.exitCode === 0;
      if (!made && !fails && !this.#stopping.signal.aborted)
        this.#onNews(
          `the backup that was due failed, and is tried on and on: ${join(this.#dir, "log", "backup.log")} says why`,
        );
      fails = !made;
      return made;
    };
    return keepBackups({ backups, create, time: systemTime, signal: this.#stopping.signal });
  }

  #forkAgent(role: Role): ChildProcess {
    const child = this.#fork(role, programOf.agent, [
      "--role",
      role,
      "--name",
      role,
      "--sandbox",
      this.#sandbox,
    ]);
    endWhenSilent(child);
    return child;
  }

  /** Starts a part of the stack. */
  #fork(name: string, program: string, args: string[]): ChildProcess {
    return this.#forkOn(name, program, [...args, "--url", this.url, "--space", this.#space]);
  }

  /** Starts a program of ours on the state directory, with a log of its own. */
  #forkOn(name: string, program: string, args: string[], dir: string = this.#dir): ChildProcess {
    const log = openSync(join(this.#dir, "log", `${name.split(" ")[0]}.log`), "a", 0o600);
    const env: NodeJS.ProcessEnv = {
      ...process.env,
      PATH: userPath(process.env.PATH ?? ""),
      NODE_COMPILE_CACHE: compileCache,
    };
    delete env.NATS_URL;
    const child = fork(program, [...args, "--state", dir], {
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
  #keep(name: string, begin: () => ChildProcess, running?: ChildProcess): void {
    const newsOf = openDeaths(name, join(this.#dir, "log", `${name}.log`));
    const guard = async (): Promise<void> => {
      let child = running ?? begin();
      let waitMs: number = restartWaitMs.first;
      for (;;) {
        const sinceMs = performance.now();
        await exitOf(child);
        if (this.#stopping.signal.aborted) return;
        const livedMs = performance.now() - sinceMs;
        this.#tellDeath(newsOf(child, livedMs));
        waitMs = livedMs > steadyMs ? restartWaitMs.first : Math.min(waitMs * 2, restartWaitMs.max);
        await this.#pause(waitMs);
        if (this.#stopping.signal.aborted) return;
        child = begin();
      }
    };
    this.#guards.push(guard());
  }

  #tellDeath(news: string | null): void {
    if (news !== null) this.#onNews(news);
  }

  #pause(ms: number): Promise<void> {
    return delay(ms, undefined, { signal: this.#stopping.signal }).catch(() => {});
  }
}

const noLeader = (dir: string): QuestbusError =>
  new QuestbusError({
    code: "BUS_UNAVAILABLE",
    message: "no node of the cluster leads",
    where: join(dir, "log"),
    next: "read the logs of its orchestrators, and start it again",
  });
