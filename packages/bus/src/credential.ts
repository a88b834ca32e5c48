import { chmodSync, linkSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { createUser, fromSeed } from "@nats-io/nkeys";
import { type Authenticator, nkeyAuthenticator } from "@nats-io/transport-node";
import { type Actor, agentName, type Principal, principal, QuestbusError } from "@questbus/protocol";

/**
 * Credentials: one nkey a principal, in `<state>/credentials/<role>-<name>.nk`, readable by its owner only.
 *
 * A seed leaves this file only inside an authenticator's closure: it is in no object that can be printed or sent.
 */

/** Who a credential makes its holder. `system` reads the broker's own figures. */
export type CredentialRole = Actor["role"] | "system";

export type Credential = {
  readonly role: CredentialRole;
  readonly name: string;
  /** The public half, as the broker's configuration names it. */
  readonly publicKey: string;
  readonly path: string;
  /** Signs the broker's challenge. */
  readonly authenticator: Authenticator;
};

export type AgentId = { role: Principal; name: string };
export type Credentials = {
  readonly orchestrator: Credential;
  readonly system: Credential;
  readonly agents: readonly Credential[];
};

const ownName = "main";

export const credentialPath = (dir: string, role: CredentialRole, name: string): string =>
  join(dir, "credentials", `${role}-${name}.nk`);

const unreadable = (path: string, message: string): QuestbusError =>
  new QuestbusError({
    code: "STATE_BROKEN",
    message: `the credential cannot be used: ${message}`,
    where: path,
    next: "delete the file and start again: a new one is made",
  });

function identityOf(path: string): { role: CredentialRole; name: string } {
  const [, role, name] = /^([a-z]+)-(.+)\.nk$/.exec(basename(path)) ?? [];
  const known = role === "orchestrator" || role === "system" ? role : principal.safeParse(role).data;
  if (known && agentName.safeParse(name).success) return { role: known, name: name as string };
  throw unreadable(path, "its name is not <role>-<name>.nk");
}

/** Reads a credential; its file name says whose it is. */
export function readCredential(path: string): Credential {
  const identity = identityOf(path);
  let seed: Uint8Array;
  try {
    seed = new TextEncoder().encode(readFileSync(path, "utf8").trim());
  } catch (error) {
    throw unreadable(path, (error as NodeJS.ErrnoException).code ?? "it cannot be read");
  }
  try {
    const publicKey = fromSeed(seed).getPublicKey();
    return { ...identity, publicKey, path, authenticator: nkeyAuthenticator(seed) };
  } catch {
    throw unreadable(path, "it holds no nkey seed");
  }
}

function ensureOne(dir: string, role: CredentialRole, name: string): Credential {
  const path = credentialPath(dir, role, name);
  const found = statSync(path, { throwIfNoEntry: false });
  if (!found) {
    // Linked, not renamed: where another process made it meanwhile, its own is kept, and used by both.
    const fresh = `${path}.${process.pid}.new`;
    writeFileSync(fresh, createUser().getSeed(), { mode: 0o600 });
    try {
      linkSync(fresh, path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    } finally {
      rmSync(fresh, { force: true });
    }
  } else if ((found.mode & 0o077) !== 0) {
    chmodSync(path, 0o600);
  }
  return readCredential(path);
}

/** The credentials of a stack: those that are there are kept, the others made. */
export function ensureCredentials(options: { dir: string; agents: readonly AgentId[] }): Credentials {
  const { dir, agents } = options;
  mkdirSync(join(dir, "credentials"), { recursive: true, mode: 0o700 });
  return {
    orchestrator: ensureOne(dir, "orchestrator", ownName),
    system: ensureOne(dir, "system", ownName),
    agents: agents.map(({ role, name }) => ensureOne(dir, role, agentName.parse(name))),
  };
}
