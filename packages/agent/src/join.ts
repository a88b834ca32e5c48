import { createHash, randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import {
  type BusConnection,
  connectBus,
  createClient,
  givenBroker,
  pause,
  readNamedCredential,
  systemTime,
} from "@questbus/bus";
import {
  type Fault,
  faultsOf,
  QuestbusError,
  type Role,
  role as roleSchema,
  type SandboxPolicy,
  sandboxPolicies,
  spaceDefault,
} from "@questbus/protocol";
import { openProcessGroups, openSandbox, type ProcessGroups } from "@questbus/workbench";
import { z } from "zod";
import { AskHands } from "./asks.ts";
import { loadBuiltIn } from "./built-in.ts";
import { answeredPhases, answerWith, behaviourOf, type Handlers } from "./handler.ts";
import type { Log } from "./lease.ts";
import { groupsDir, joinedName, runSession } from "./session.ts";
import { openSpool } from "./spool.ts";
import { workTurns } from "./turns.ts";

/**
 * An agent of a user's own: joins with its credential, and works what its role is offered, assignments and asks alike, one
 * at a time. All that makes it safe to die is the session's (`session.ts`); here is what a program writes against.
 */
export type JoinOptions = {
  /** Path of the credential's file, as `questbus agent add` prints it. */
  credentials: string;
  /** The credential's role: written down twice, so that no program works in another one than it thinks. */
  role: Role;
  /** Address of the broker. By default NATS_URL, else the stack of the state directory that the credential lies in. */
  url?: string;
  space?: string;
  /** State directory of the stack; by default the one that the credential lies in. */
  state?: string;
  /** Whether the commands of quests are shut in; by default as QUESTBUS_SANDBOX says, else `required`. */
  sandbox?: SandboxPolicy;
  /** Aborts to stop: the same as disposing of the agent. */
  signal?: AbortSignal;
  /** How long what is held may still take then, before it is given back: 5 s by default. */
  drainMs?: number;
  /** Asks held at once: 1 by default. */
  asksMax?: number;
  /** What could not be done, and is tried again or was dropped. */
  onTrouble?: (faults: readonly Fault[]) => void;
};

export type JoinedAgent = AsyncDisposable & {
  readonly role: Role;
  readonly name: string;
  /** Where what its handlers run is recorded, so that it ends with the agent, by whatever end. */
  readonly groups: ProcessGroups;
  /** Works until it is told to stop. @throws QuestbusError CREDENTIAL_REFUSED when the credential was revoked */
  handle(handlers: Handlers): Promise<void>;
};

const drainMsDefault = 5_000;
/** How long the stack is waited for at the start: it may be starting, too. */
const patienceMs = 10_000;
/** How long one that was just made may not be known yet. */
const unknownMs = 1_500;
const againMs = 500;
/** Refused so often in a row, without being let in: not a broker that is starting. */
const refusalsMax = 3;

/** @throws QuestbusError USAGE, AGENT_NOT_FOUND, ROLE_FORBIDDEN, NOT_RUNNING, CREDENTIAL_REFUSED, BUS_UNAVAILABLE; of handle, SANDBOX_MISSING */
export async function joinAs(options: JoinOptions): Promise<JoinedAgent> {
  if (!options.credentials) throw noCredential();
  const credential = readNamedCredential(resolve(options.credentials));
  const role = roleSchema.safeParse(credential.role).data;
  if (!role || role !== options.role) throw otherRole(options, credential.role);
  const { name } = credential;
  const stateDir = resolve(options.state ?? stateDirOf(credential.path));
  const stopping = new AbortController();
  const stop = (): void => stopping.abort();
  if (options.signal?.aborted) stop();
  options.signal?.addEventListener("abort", stop, { once: true });
  const connection = await connected(options, stateDir, stopping.signal);
  let refused: QuestbusError | null = null;
  let refusals = 0;
  connection.onReconnect(() => {
    refusals = 0;
  });
  connection.onUnauthorized((error) => {
    refusals += 1;
    if (refusals < refusalsMax) return;
    refused = error;
    stop();
  });
  let working: Promise<void> = Promise.resolve();
  const { onTrouble, drainMs = drainMsDefault, asksMax = 1 } = options;
  const client = createClient(connection);
  const own = joinedName(credential);

  return {
    role,
    name,
    groups: openProcessGroups(join(groupsDir(stateDir), own)),
    async handle(handlers) {
      const { definition, behaviour } = await loadBuiltIn(role);
      const spool = openSpool(join(stateDir, "run", "spool", own));
      const { signal } = stopping;
      const trouble = (faults: readonly Fault[]): void => onTrouble?.(faults);
      const answered = answeredPhases(handlers);
      const asking = {
        client,
        answer: answerWith(handlers),
        phases: answered,
        asksMax,
        signal,
        drainMs,
        spool,
        onTrouble: trouble,
      };
      const named = sandboxPolicies.find((each) => each === process.env.QUESTBUS_SANDBOX);
      const sandbox = openSandbox({
        policy: options.sandbox ?? named ?? "required",
        hidden: [stateDir],
        owner: createHash("sha256").update(`${stateDir} ${own}`).digest("hex").slice(0, 16),
      });
      const session = {
        client,
        sandbox,
        definition,
        behaviour: behaviourOf(handlers, behaviour),
        name: own,
        stateDir,
        log: logTo(trouble),
        signal,
        ...(answered.length > 0 ? { hands: new AskHands(asking) } : {}),
        drainMs,
        spool,
      };
      const turns = handlers.turn && workTurns({ client, answer: handlers.turn, signal, onTrouble: trouble });
      working = Promise.all([runSession(session, randomUUID()), turns]).then(() => {});
      await working
        .catch((error: unknown) => {
          if (!signal.aborted) throw error;
        })
        .finally(sandbox.close);
      if (refused) throw refused;
    },
    async [Symbol.asyncDispose]() {
      stop();
      await working.catch(() => {});
      options.signal?.removeEventListener("abort", stop);
      await connection.close();
    },
  };
}

/** Connects; a stack that is just starting is waited for. */
async function connected(
  options: JoinOptions,
  stateDir: string,
  signal: AbortSignal,
): Promise<BusConnection> {
  const sinceMs = systemTime.steadyMs();
  const patience = { BUS_UNAVAILABLE: patienceMs, NOT_RUNNING: patienceMs, CREDENTIAL_REFUSED: unknownMs };
  for (;;) {
    try {
      const { url, space } = addressOf(options, stateDir);
      return await connectBus({ url, space, credential: resolve(options.credentials) });
    } catch (error) {
      const code = error instanceof QuestbusError ? error.code : "INTERNAL";
      const waitMs = patience[code as keyof typeof patience] ?? 0;
      if (systemTime.steadyMs() - sinceMs >= waitMs) throw error;
    }
    await pause(systemTime, againMs, signal);
    signal.throwIfAborted();
  }
}

/** What the stack says of itself, for those who join. */
const stackRecord = z.object({ url: z.string(), space: z.string() });

function addressOf({ url, space }: JoinOptions, stateDir: string): { url: string; space: string } {
  const given = url ?? givenBroker(process.env);
  if (given) return { url: given, space: space ?? spaceDefault };
  const file = join(stateDir, "stack.json");
  try {
    const found = stackRecord.parse(JSON.parse(readFileSync(file, "utf8")));
    return { url: found.url, space: space ?? found.space };
  } catch {
    throw new QuestbusError({
      code: "NOT_RUNNING",
      message: "no Questbus is running where this credential was made",
      where: file,
      next: "start it with questbus up; or name its state directory (--state DIR, state) or its broker (NATS_URL, url)",
    });
  }
}

/** A credential that was carried elsewhere has its agent's files beside it. */
function stateDirOf(credentialPath: string): string {
  const folder = dirname(credentialPath);
  return basename(folder) === "credentials" ? dirname(folder) : join(folder, "questbus-agent");
}

const noCredential = (): QuestbusError =>
  new QuestbusError({
    code: "USAGE",
    message: "joinAs needs the path of a credential",
    where: "credentials",
    next: "name the file that questbus agent add NAME --role ROLE prints",
  });

const otherRole = ({ credentials, role }: JoinOptions, of: string): QuestbusError =>
  new QuestbusError({
    code: "ROLE_FORBIDDEN",
    message: `this credential is of role ${of}, not ${role}`,
    where: credentials,
    next: `join as ${of}, or make another credential: questbus agent add NAME --role ${role}`,
  });

/** What the session says of trouble, for whoever listens. */
function logTo(trouble: (faults: readonly Fault[]) => void): Log {
  const tell = (first: unknown): void => {
    const { faults, err } = first as { faults?: readonly Fault[]; err?: unknown };
    const told = faults ?? (err === undefined ? [] : faultsOf(err));
    if (told.length > 0) trouble(told);
  };
  return { info() {}, warn: tell, error: tell };
}
