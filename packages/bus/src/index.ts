export type { BrokerCluster } from "./account.ts";
export { type BatchStream, Fenced, openBatchStream } from "./batch-stream.ts";
export {
  type Broker,
  type BrokerExit,
  type BrokerOptions,
  type FoundBroker,
  findBroker,
  startBroker,
  writeBrokerConfig,
} from "./broker.ts";
export { type BrokerNodes, nodeDir, planBrokers } from "./broker-cluster.ts";
export { type LoggedRefusal, readRefusal } from "./broker-refusal.ts";
export {
  type BusClient,
  type ClientInputs,
  createClient,
  type RequestOptions,
  type WatchOptions,
} from "./client.ts";
export { connectedKeys } from "./connected.ts";
export { type BusConnection, type ConnectOptions, connectBus, credentialRefused } from "./connection.ts";
export {
  type AgentId,
  addCredential,
  type Credential,
  type CredentialRole,
  type Credentials,
  credentialPath,
  ensureCredentials,
  listCredentials,
  makeSecretFile,
  readCredential,
  readNamedCredential,
  removeCredential,
  watchCredentials,
} from "./credential.ts";
export { givenBroker } from "./given-broker.ts";
export { type DeadMessage, type ReadCommand, readCommand } from "./incoming.ts";
export { type LeaderLease, openLeaderLease } from "./lease.ts";
export { announceServing, type Command, type CommandHandlers, serveCommands } from "./server.ts";
export { type JournalStream, openJournalStream } from "./stream.ts";
export { pause, systemTime, type Time } from "./time.ts";
