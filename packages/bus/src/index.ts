export {
  type Broker,
  type BrokerExit,
  type BrokerOptions,
  type FoundBroker,
  findBroker,
  startBroker,
  writeBrokerConfig,
} from "./broker.ts";
export {
  type BusClient,
  type ClientInputs,
  createClient,
  type RequestOptions,
  type WatchOptions,
} from "./client.ts";
export { type BusConnection, type ConnectOptions, connectBus } from "./connection.ts";
export {
  type AgentId,
  type Credential,
  type CredentialRole,
  type Credentials,
  credentialPath,
  ensureCredentials,
  readCredential,
} from "./credential.ts";
export { type DeadMessage, type ReadCommand, readCommand } from "./incoming.ts";
export { type Command, type CommandHandlers, serveCommands } from "./server.ts";
export { type JournalStream, openJournalStream } from "./stream.ts";
export { pause, systemTime, type Time } from "./time.ts";
