import { resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import {
  type BusClient,
  type BusConnection,
  type ConnectOptions,
  connectBus,
  createClient,
  credentialPath,
} from "@questbus/bus";
import { limit, type Principal, QuestbusError, type SandboxPolicy } from "@questbus/protocol";
import { openStore, type StoreReader } from "@questbus/store";
import { storeDirOf } from "./cluster-state.ts";
import { note, paintError } from "./output.ts";
import type { Stack } from "./stack.ts";
import { findStack, notRunning, type StackAddress } from "./stack-record.ts";
import { hasState, makeStateDir, refuseFile } from "./state-dir.ts";

/** A command's way to the stack of a state directory: a client for each role it speaks as, and the store to read. */
export type StackSession = {
  store: StoreReader;
  clientAs(role: Extract<Principal, "operator" | "arbiter">): Promise<BusClient>;
  /** False when the stack was another command's, and has ended. */
  isThere(): boolean;
};

/**
 * Runs `work` against the running stack; where there is none, against one of its own that ends with it, or, with
 * `running: "required"`, not at all. `stored` is for work on what is there already: it makes no state.
 *
 * @throws QuestbusError NOT_RUNNING, STATE_MISSING, and what starting a stack throws
 */
export async function withStack<T>(
  options: {
    stateDir: string;
    running: "required" | "stored" | "any";
    signal: AbortSignal;
    onStart?: (broker: string) => void;
    /** False: a stack that is started here has none, so that no work begins on it. */
    agents?: boolean;
    sandbox?: SandboxPolicy | undefined;
  },
  work: (session: StackSession) => Promise<T>,
): Promise<T> {
  const stateDir = resolve(options.stateDir);
  refuseFile(stateDir);
  const found = findStack(stateDir);
  if (!found && options.running === "required") throw notRunning(options.stateDir);
  if (!found && options.running === "stored") refuseNoState(stateDir);
  const { own, address } = found ? { own: null, address: found } : await startOrJoin(stateDir, options);
  if (own) options.onStart?.(own.broker);
  const connections: BusConnection[] = [];
  try {
    options.signal.throwIfAborted();
    const store = openStore({ dir: storeDirOf(stateDir), mode: "read" });
    const isThere = (): boolean => own !== null || findStack(stateDir)?.id === address.id;
    const clientAs: StackSession["clientAs"] = async (role) => {
      const { url, space } = address;
      const connection = await connected(
        { url, space, credential: credentialPath(stateDir, role, role) },
        () => isThere() && !options.signal.aborted,
      );
      connections.push(connection);
      return createClient(connection);
    };
    try {
      return await work({
        store,
        clientAs,
        isThere,
      });
    } finally {
      store.close();
    }
  } finally {
    await Promise.all(connections.map((connection) => connection.close()));
    await own?.stop();
  }
}

/** One of an older release is there: a stack brings it up to date. @throws QuestbusError STATE_MISSING */
function refuseNoState(stateDir: string): void {
  const dir = storeDirOf(stateDir);
  if (!hasState(dir)) openStore({ dir, mode: "read" }).close();
}

/** Connects; the broker of a stack that is there was killed at worst, and is back in a moment. */
async function connected(options: ConnectOptions, isThere: () => boolean): Promise<BusConnection> {
  const untilMs = performance.now() + limit.answerTimeoutMs;
  for (;;) {
    try {
      return await connectBus(options);
    } catch (error) {
      const isDown = error instanceof QuestbusError && error.code === "BUS_UNAVAILABLE";
      if (!isDown || !isThere() || performance.now() > untilMs) throw error;
      await delay(lookAgainMs);
    }
  }
}

/** Starts a stack; where another command was quicker, joins that one as soon as it is up. */
async function startOrJoin(
  stateDir: string,
  { agents = true, sandbox }: { agents?: boolean; sandbox?: SandboxPolicy | undefined },
): Promise<{ own: Stack | null; address: StackAddress }> {
  const { startStack } = await import("./stack.ts");
  const untilMs = performance.now() + joinMsMax;
  for (;;) {
    try {
      const started = agents ? { sandbox } : { agents: [], sandbox };
      const own = await startStack(makeStateDir(stateDir), started);
      return { own, address: { ...own, id: "" } };
    } catch (error) {
      const locked = error instanceof QuestbusError && error.code === "STATE_LOCKED";
      const address = findStack(stateDir);
      if (locked && address) return { own: null, address };
      if (!locked || performance.now() > untilMs) throw error;
      await delay(lookAgainMs);
    }
  }
}

/** How long a stack that another command is starting is waited for. */
const joinMsMax = 5_000;
/** How often what is coming up is looked for. */
const lookAgainMs = 250;

/**
 * Like `withStack`, for work that takes as long as a quest: where the stack was another command's and ends under it,
 * `work` is begun again on a stack of its own, and must then go on with what it had begun.
 */
export async function withLastingStack<T>(
  options: Parameters<typeof withStack>[0],
  work: (session: StackSession) => Promise<T>,
): Promise<T> {
  for (;;) {
    const lost = { isThere: () => true };
    try {
      return await withStack(options, (session) => {
        lost.isThere = session.isThere;
        return work(session);
      });
    } catch (error) {
      if (options.signal.aborted || lost.isThere()) throw error;
      note(paintError("dim", "the stack that it ran on has ended: going on with one of its own"));
    }
  }
}

/** Runs `work` on the stored state alone; no process is needed for it. */
export function withStore<T>(stateDir: string, work: (store: StoreReader) => T): T {
  refuseFile(resolve(stateDir));
  const store = openStore({ dir: storeDirOf(stateDir), mode: "read" });
  try {
    return work(store);
  } finally {
    store.close();
  }
}
