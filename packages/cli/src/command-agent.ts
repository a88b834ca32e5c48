import { rmSync, statSync } from "node:fs";
import { relative, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import {
  type AgentId,
  addCredential,
  type Credential,
  connectBus,
  createClient,
  credentialPath,
  listCredentials,
  readCredential,
  removeCredential,
} from "@questbus/bus";
import { exitCode, QuestbusError } from "@questbus/protocol";
import { isOfStack, ofStack } from "./agent-name.ts";
import type { Common } from "./command-run.ts";
import { keysOf } from "./connected.ts";
import { ago, note, printData, printJson, table } from "./output.ts";
import { findStack, type StackAddress } from "./stack-record.ts";
import { makeStateDir, mcpTokenPath, refuseFile } from "./state-dir.ts";

/** How long the broker of a running stack may take to take a change up. */
const takenUpMsMax = 10_000;
/** The stack looks as often whether there is a change. */
const lookEveryMs = 250;
/** A connection that begins just while the broker reads its configuration again gets no answer. */
const connectMsMax = 1_500;

/** A path as one would type it here. */
const shown = (path: string): string => {
  const near = relative(".", path);
  return near.startsWith("..") ? path : near;
};

/** `questbus agent add NAME --role ROLE`: its file, and the broker's word that it lets it in. */
export async function addAgent(agent: AgentId, { state, json }: Common): Promise<number> {
  if (isOfStack(agent)) throw ofStack(agent);
  const dir = makeStateDir(state);
  const credential = addCredential(dir, agent);
  const stack = findStack(dir);
  const admitted = stack !== null && (await isSoon(() => admits(stack, credential), true));
  if (json) {
    const { role, name, publicKey, path } = credential;
    printJson({ name, role, publicKey, credentials: path, admitted });
  } else printData(shown(credential.path));
  if (!stack) note("no stack is running: it is let in by the next questbus up");
  else if (!admitted) note(`not let in yet: ${reloadHint(dir)}`);
  return exitCode.ok;
}

/** `questbus agent list`: everyone with a credential. */
export async function listCredentialed({ state, json }: Common): Promise<number> {
  const dir = resolve(state);
  refuseFile(dir);
  const stack = findStack(dir);
  const keys = stack && (await keysOf(stack, dir));
  const agents = listCredentials(dir).map(({ role, name, publicKey, path }) => ({
    name,
    role,
    publicKey,
    credentials: path,
    madeMs: Math.round(statSync(path).mtimeMs),
    connected: keys ? keys.has(publicKey) : null,
  }));
  if (json) printJson(agents);
  else if (agents.length === 0)
    note("nobody has a credential: make one with questbus agent add NAME --role ROLE");
  else {
    const rows = agents.map((each) => [
      each.name,
      each.role,
      each.publicKey,
      ago(each.madeMs, Date.now()),
      each.connected === null ? "not known" : each.connected ? "yes" : "no",
    ]);
    printData(...table(["agent", "role", "public key", "made", "connected"], rows));
  }
  return exitCode.ok;
}

/** `questbus agent revoke NAME --role ROLE`: answers when the broker refuses it. */
export async function revokeAgent(agent: AgentId, { state, json }: Common): Promise<number> {
  const dir = resolve(state);
  refuseFile(dir);
  if (isOfStack(agent)) throw ofStack(agent, `to be without it: questbus up --without ${agent.role}`);
  const stack = findStack(dir);
  const path = credentialPath(dir, agent.role, agent.name);
  const kept = statSync(path, { throwIfNoEntry: false }) ? readable(path) : null;
  removeCredential(dir, agent);
  rmSync(mcpTokenPath(dir, agent), { force: true });
  const isOut = !stack || !kept || (await isSoon(() => admits(stack, kept), false));
  if (stack) await recordRevoked(stack, dir, agent);
  if (stack && !isOut) {
    throw new QuestbusError({
      code: "BUS_UNAVAILABLE",
      message: `the broker still lets ${agent.role}/${agent.name} in: it has not read its configuration again`,
      where: stack.url,
      next: reloadHint(dir),
    });
  }
  if (json) printJson({ ...agent, revoked: true });
  else printData(`${agent.role}/${agent.name} was revoked`);
  return exitCode.ok;
}

/** For the journal; what it holds is offered again at once. */
async function recordRevoked(
  { url, space }: StackAddress,
  dir: string,
  { role, name }: AgentId,
): Promise<void> {
  const credential = credentialPath(dir, "operator", "operator");
  const connection = await connectBus({ url, space, credential });
  try {
    await createClient(connection).request("revoke", { role, name });
  } finally {
    await connection.close();
  }
}

/** What is broken is revoked all the same. */
function readable(path: string): Credential | null {
  try {
    return readCredential(path);
  } catch {
    return null;
  }
}

/** Whether the broker lets the holder of this credential in; null when it does not say. */
async function admits({ url, space }: StackAddress, credential: Credential): Promise<boolean | null> {
  try {
    const connection = await connectBus({ url, space, credential, timeoutMs: connectMsMax });
    await connection.close();
    return true;
  } catch (error) {
    if (!(error instanceof QuestbusError)) throw error;
    return error.code === "CREDENTIAL_REFUSED" ? false : null;
  }
}

/** True as soon as `look` says `wanted`. */
async function isSoon(look: () => Promise<boolean | null>, wanted: boolean): Promise<boolean> {
  const untilMs = performance.now() + takenUpMsMax;
  for (;;) {
    await delay(lookEveryMs);
    if ((await look()) === wanted) return true;
    if (performance.now() > untilMs) return false;
  }
}

const reloadHint = (dir: string): string =>
  `a broker that you run yourself (NATS_URL) reads ${resolve(dir, "broker", "external.conf")} again at nats-server --signal reload`;
