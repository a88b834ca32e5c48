import { EventEmitter } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { connect, errors, type NatsConnection } from "@nats-io/transport-node";
import { QuestbusError, spaceDefault } from "@questbus/protocol";
import { inboxPrefixOf } from "./account.ts";
import { type Credential, readCredential } from "./credential.ts";

/** What a credential does not allow. */
type Refusal = InstanceType<typeof errors.PermissionViolationError>;

/**
 * One connection to the broker. It comes back by itself for as long as it is not closed.
 *
 * While it is down, what is published is lost (the client library throws its buffer away when it dials again), so
 * callers wait for `whenUp` and give up on an answer with `orDown`.
 */
export type BusConnection = {
  /** Where the broker is; of a cluster, each node's, with commas. */
  readonly url: string;
  readonly space: string;
  /** Who the credential makes us. */
  readonly role: Credential["role"];
  readonly name: string;
  readonly nats: NatsConnection;
  isUp(): boolean;
  /** True as soon as the connection is up; false after `waitMs`, or once it is closed. */
  whenUp(waitMs: number): Promise<boolean>;
  /** The outcome of `work`, or BUS_UNAVAILABLE as soon as the connection goes down. */
  orDown<T>(work: Promise<T>): Promise<T>;
  /** Called each time the connection has come back; the result stops it. */
  onReconnect(listener: () => void): () => void;
  /** Called each time the connection goes down, for good too. */
  onDown(listener: () => void): void;
  /** Called when the broker refuses what was published or subscribed to. */
  onRefused(listener: (error: Refusal) => void): void;
  /** Called each time the broker does not let us in again: the credential was revoked, say. */
  onUnauthorized(listener: (error: QuestbusError) => void): void;
  /** Resolves when the connection was closed for good. */
  readonly closed: Promise<void>;
  /** Sends what waits, then closes; bounded, also when the broker is gone. */
  close(): Promise<void>;
};

export type ConnectOptions = {
  /** One address, or several with commas: the first that answers is taken, and the others when it is gone. */
  url: string;
  /** A credential, or the path of its file. */
  credential: Credential | string;
  /** Shown in the broker's own figures; the credential's role and name by default. */
  name?: string | undefined;
  space?: string | undefined;
  /** How long the broker may take to let it in; 5 s by default. */
  timeoutMs?: number | undefined;
};

const connectMsMax = 5_000;
const drainMsMax = 2_000;

export const busUnavailable = (message: string, url: string): QuestbusError =>
  new QuestbusError({
    code: "BUS_UNAVAILABLE",
    message,
    where: url,
    next: "start the stack with questbus up, or check NATS_URL and --state DIR",
  });

export const credentialRefused = ({ role, name, path }: Credential): QuestbusError =>
  new QuestbusError({
    code: "CREDENTIAL_REFUSED",
    message: `the broker does not let ${role}/${name} in`,
    where: path,
    next: "it was revoked, or is of another stack: questbus agent list there; make one with questbus agent add",
  });

async function dial(
  { url, timeoutMs = connectMsMax }: ConnectOptions,
  credential: Credential,
  name: string,
): Promise<NatsConnection> {
  try {
    return await connect({
      servers: url.split(","),
      noRandomize: true,
      name,
      authenticator: credential.authenticator,
      inboxPrefix: inboxPrefixOf(credential.role, credential.name),
      timeout: timeoutMs,
      maxReconnectAttempts: -1,
      reconnectTimeWait: 200,
      reconnectJitter: 50,
      ignoreAuthErrorAbort: true,
      ignoreClusterUpdates: true,
      pingInterval: 10_000,
      maxPingOut: 2,
      noAsyncTraces: true,
    });
  } catch (error) {
    if (error instanceof errors.AuthorizationError) throw credentialRefused(credential);
    throw busUnavailable(`no broker answers: ${error instanceof Error ? error.message : String(error)}`, url);
  }
}

type Link = Pick<BusConnection, "closed" | "isUp" | "onReconnect" | "onDown" | "onRefused"> & {
  onUnauthorized(listener: () => void): void;
  /** The next time the connection goes up or down; `forget` when nobody waits for it any more. */
  next(event: "up" | "down"): { promise: Promise<void>; forget(): void };
};

/** Follows whether the connection is up. */
function linkOf(nats: NatsConnection): Link {
  const changes = new EventEmitter<{
    up: [];
    down: [];
    refused: [Refusal];
    unauthorized: [];
  }>().setMaxListeners(0);
  let up = true;
  const closed = nats.closed().then(() => {
    up = false;
    changes.emit("down");
  });
  void (async () => {
    for await (const status of nats.status()) {
      const { type } = status;
      if (status.type === "error" && status.error instanceof errors.PermissionViolationError)
        changes.emit("refused", status.error);
      if (status.type === "error" && status.error instanceof errors.AuthorizationError)
        changes.emit("unauthorized");
      if (type !== "disconnect" && type !== "reconnect") continue;
      up = type === "reconnect";
      changes.emit(up ? "up" : "down");
    }
  })();
  return {
    closed,
    isUp: () => up,
    onReconnect(listener) {
      changes.on("up", listener);
      return () => void changes.off("up", listener);
    },
    onDown: (listener) => void changes.on("down", listener),
    onRefused: (listener) => void changes.on("refused", listener),
    onUnauthorized: (listener) => void changes.on("unauthorized", listener),
    next(event) {
      const { promise, resolve } = Promise.withResolvers<void>();
      changes.once(event, resolve);
      return { promise, forget: () => void changes.off(event, resolve) };
    },
  };
}

/** Sends what waits, for a bounded time, then closes. */
async function closeConnection(nats: NatsConnection, isUp: boolean): Promise<void> {
  if (nats.isClosed()) return;
  if (isUp && !nats.isDraining()) {
    const stop = new AbortController();
    const late = delay(drainMsMax, undefined, { signal: stop.signal }).catch(() => {});
    await Promise.race([nats.drain().catch(() => {}), late]);
    stop.abort();
  }
  await nats.close();
}

/** Connects with a credential; fails with BUS_UNAVAILABLE when no broker answers, and with CREDENTIAL_REFUSED. */
export async function connectBus(options: ConnectOptions): Promise<BusConnection> {
  const { url, space = spaceDefault } = options;
  const credential =
    typeof options.credential === "string" ? readCredential(options.credential) : options.credential;
  const { role, name } = credential;
  const nats = await dial(options, credential, options.name ?? `${role}-${name}`);
  const link = linkOf(nats);
  const { closed, isUp, onReconnect, onDown, onRefused } = link;

  return {
    url,
    space,
    role,
    name,
    nats,
    closed,
    isUp,
    onReconnect,
    onDown,
    onRefused,
    onUnauthorized: (listener) => link.onUnauthorized(() => listener(credentialRefused(credential))),
    async whenUp(waitMs) {
      if (isUp() || nats.isClosed()) return isUp();
      const { promise, forget } = link.next("up");
      const stop = new AbortController();
      const timer =
        waitMs === Infinity ? [] : [delay(waitMs, undefined, { signal: stop.signal }).catch(() => {})];
      await Promise.race([promise, closed, ...timer]);
      forget();
      stop.abort();
      return isUp();
    },
    async orDown(work) {
      const { promise, forget } = link.next("down");
      work.catch(() => {});
      try {
        if (!isUp()) throw busUnavailable("the broker cannot be reached", url);
        const lost = promise.then((): never => {
          throw busUnavailable("the connection to the broker was lost", url);
        });
        return await Promise.race([work, lost]);
      } finally {
        forget();
      }
    },
    async close() {
      if (nats.isClosed()) return;
      await closeConnection(nats, isUp());
      await closed;
    },
  };
}
