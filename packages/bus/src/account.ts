import {
  commandSubject,
  commandsOf,
  eventsAll,
  eventsHeardBy,
  limit,
  type Principal,
  principals,
  verbsOf,
} from "@questbus/protocol";
import type { Credential, Credentials } from "./credential.ts";

/**
 * The broker's configuration: one account a role.
 *
 * - A1: a user publishes its own commands only, named verb by verb; its subject is its identity.
 * - A2: a role's account reaches the bus through a service import, so that the server replaces the reply subject:
 *   a forged one (another role's command, the JetStream API) leads nowhere. In one shared account it would not,
 *   because reply subjects are not checked against permissions.
 * - A3: a user hears its own inbox and the notices; of the events those that its role may (`eventsHeardBy`); nothing else;
 *   JetStream is the orchestrator's alone.
 */

/**
 * Twice the largest message: an event carries what its command carried and more, and an oversized command must
 * arrive to be answered with the reason.
 */
const payloadBytesMax = 2 * limit.messageBytesMax;

export type BrokerSettings = {
  /** -1: the server takes a free port and logs it. */
  port: number;
  storeDir: string;
  pidFile: string;
  space: string;
  credentials: Credentials;
  /** Makes it a node of a cluster on this machine. */
  cluster?: BrokerCluster | undefined;
};

/** What one node of a cluster knows of all: its own name, and the ports and the secret by which they find each other. */
export type BrokerCluster = {
  node: string;
  routePort: number;
  routePorts: readonly number[];
  secret: string;
};

const quoted = (text: string): string => JSON.stringify(text);
const list = (items: readonly string[]): string => items.map(quoted).join(", ");
const accountOf = (role: Principal): string => `ROLE_${role}`;

const noticesAll = (space: string): string => `${space}.notice.>`;
/** Said by an orchestrator that begins to serve: what its predecessor left unanswered is asked again. */
export const servingSubject = (space: string): string => `${space}.notice.serving`;

/** Prefix of the inboxes of one user; only it may subscribe there. */
export const inboxPrefixOf = (role: string, name: string): string => `_INBOX_${role}-${name}`;

function userText(space: string, role: Principal, credential: Credential): string {
  const { name, publicKey } = credential;
  const publish = verbsOf[role].map((verb) => commandSubject(space, { role, name }, verb));
  const subscribe = [`${inboxPrefixOf(role, name)}.>`, ...eventsHeardBy(role, space), noticesAll(space)];
  return `      { nkey: ${publicKey}, permissions: {
        publish: { allow: [${list(publish)}] }
        subscribe: { allow: [${list(subscribe)}] } } }`;
}

function roleText(space: string, role: Principal, credentials: readonly Credential[]): string {
  const users = credentials.filter((each) => each.role === role).map((each) => userText(space, role, each));
  return `  ${accountOf(role)}: {
    limits: { max_connections: ${limit.connectionsOfRoleMax} }
    users: [
${users.join("\n")}
    ]
    imports: [
      { service: { account: BUS, subject: ${quoted(commandsOf(space, role))} }, to: ${quoted(`${space}.${role}.>`)} }
      { stream: { account: BUS, subject: ${quoted(eventsAll(space))} } }
      { stream: { account: BUS, subject: ${quoted(noticesAll(space))} } }
    ]
  }`;
}

/** The routes of a cluster: on the loopback alone, and with a secret all the same. */
function clusterText(space: string, { routePort, routePorts, secret }: BrokerCluster): string {
  const routes = routePorts.map((port) => `nats://route:${secret}@127.0.0.1:${port}`);
  return `cluster: {
  name: ${quoted(`questbus-${space}`)}
  listen: ${quoted(`127.0.0.1:${routePort}`)}
  no_advertise: true
  authorization: { user: route, password: ${quoted(secret)}, timeout: 2 }
  routes: [${list(routes)}]
}
`;
}

/** Text of the configuration file of nats-server. */
export function brokerConfig(settings: BrokerSettings): string {
  const { port, storeDir, pidFile, space, credentials, cluster } = settings;
  const exports = principals.map(
    (role) => `      { service: ${quoted(commandsOf(space, role))}, accounts: [${accountOf(role)}] }`,
  );
  const everyRole = principals.map(accountOf).join(", ");
  return `# Written by Questbus at every start of the broker: changes are lost.
server_name: ${quoted(cluster ? `questbus-${space}-${cluster.node}` : `questbus-${space}`)}
listen: ${quoted(`127.0.0.1:${port}`)}
pid_file: ${quoted(pidFile)}
max_payload: ${payloadBytesMax}
max_subscriptions: ${limit.subscriptionsMax}
# Nothing here is the record: all of it can be deleted while the broker is down.
jetstream: { store_dir: ${quoted(storeDir)}, max_mem: 16MB, max_file: 4GB }
${cluster ? clusterText(space, cluster) : ""}system_account: SYS
accounts: {
  SYS: { users: [ { nkey: ${credentials.system.publicKey} } ] }
  BUS: {
    jetstream: enabled
    users: [ { nkey: ${credentials.orchestrator.publicKey} } ]
    exports: [
${exports.join("\n")}
      { stream: ${quoted(eventsAll(space))}, accounts: [${everyRole}] }
      { stream: ${quoted(noticesAll(space))}, accounts: [${everyRole}] }
    ]
  }
${principals.map((role) => roleText(space, role, credentials.agents)).join("\n")}
}
`;
}
