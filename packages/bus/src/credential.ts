import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  unwatchFile,
  watchFile,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import { createUser } from "@nats-io/nkeys";
import { type Actor, agentName, type Principal, principal, QuestbusError } from "@questbus/protocol";
import { type UserKey, userKeyOf } from "./nkey.ts";

/**
 * Credentials: one nkey a principal, in `<state>/credentials/<role>-<name>.nk`, readable by its owner only.
 *
 * The folder is the record of who may speak on the bus: whose file is in it may, and whose file is removed may no more.
 * A seed leaves this file only inside an authenticator's closure: it is in no object that can be printed or sent.
 */

/** Who a credential makes its holder. `system` reads the broker's own figures. */
export type CredentialRole = Actor["role"] | "system";

export type Credential = UserKey & {
  readonly role: CredentialRole;
  readonly name: string;
  readonly path: string;
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

const unreadable = (path: string, message: string, next: string): QuestbusError =>
  new QuestbusError({
    code: "STATE_BROKEN",
    message: `the credential cannot be used: ${message}`,
    where: path,
    next,
  });

const noCredential = (path: string): QuestbusError =>
  new QuestbusError({
    code: "AGENT_NOT_FOUND",
    message: "there is no such credential",
    where: path,
    next: "see which there are: questbus agent list; questbus agent add NAME --role ROLE makes one",
  });

function identityOf(path: string): { role: CredentialRole; name: string } | null {
  const [, role, name] = /^([a-z]+)-(.+)\.nk$/.exec(basename(path)) ?? [];
  const known = role === "orchestrator" || role === "system" ? role : principal.safeParse(role).data;
  return known && agentName.safeParse(name).success ? { role: known, name: name as string } : null;
}

/** Reads a credential; its file name says whose it is. */
export function readCredential(path: string): Credential {
  const identity = identityOf(path);
  if (!identity)
    throw unreadable(
      path,
      "its name is not <role>-<name>.nk",
      "name the file that questbus agent add printed",
    );
  let seed: Uint8Array;
  try {
    seed = new TextEncoder().encode(readFileSync(path, "utf8").trim());
  } catch (error) {
    const { code = "it cannot be read" } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") throw noCredential(path);
    throw unreadable(path, code, "make it readable for you, and for nobody else");
  }
  try {
    return { ...identity, path, ...userKeyOf(seed) };
  } catch {
    throw unreadable(
      path,
      "it holds no nkey seed",
      "of an agent of your own: questbus agent revoke, and add it again; of the stack: delete it, a start makes it anew",
    );
  }
}

/** Reads a credential that somebody named. What is wrong with it is no fault of the state. @throws QuestbusError AGENT_NOT_FOUND, USAGE */
export function readNamedCredential(path: string): Credential {
  if (!existsSync(path)) throw noCredential(path);
  try {
    return readCredential(path);
  } catch (error) {
    if (!(error instanceof QuestbusError) || error.code !== "STATE_BROKEN") throw error;
    const next = "name the file that questbus agent add NAME --role ROLE printed, one that you may read";
    throw new QuestbusError({ code: "USAGE", message: error.message, where: path, next });
  }
}

/** Makes a file that its owner alone may read; false when there is one. Linked, not renamed, so that nobody sees half of it. */
export function makeSecretFile(path: string, secret: string | Uint8Array): boolean {
  const fresh = `${path}.${process.pid}.new`;
  writeFileSync(fresh, secret, { mode: 0o600 });
  try {
    linkSync(fresh, path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    return false;
  } finally {
    rmSync(fresh, { force: true });
  }
}

function ensureOne(dir: string, role: CredentialRole, name: string): Credential {
  const path = credentialPath(dir, role, name);
  const found = statSync(path, { throwIfNoEntry: false });
  // Where another process made it meanwhile, its own is kept, and used by both.
  if (!found) makeSecretFile(path, createUser().getSeed());
  else if ((found.mode & 0o077) !== 0) chmodSync(path, 0o600);
  return readCredential(path);
}

const folderOf = (dir: string): string => join(dir, "credentials");
const makeFolder = (dir: string): void => void mkdirSync(folderOf(dir), { recursive: true, mode: 0o700 });

/** The credentials of a stack: those that are there are kept, the others made; agents that were added are among them. */
export function ensureCredentials(options: { dir: string; agents: readonly AgentId[] }): Credentials {
  const { dir, agents } = options;
  makeFolder(dir);
  const own = agents.map(({ role, name }) => ensureOne(dir, role, agentName.parse(name)));
  const added = listCredentials(dir).filter(({ path }) => !own.some((each) => each.path === path));
  return {
    orchestrator: ensureOne(dir, "orchestrator", ownName),
    system: ensureOne(dir, "system", ownName),
    agents: [...own, ...added],
  };
}

/**
 * Everyone but the orchestrator and the system who has a credential in this state directory, in order of file names. A
 * file that cannot be read is nobody's: it must not keep others from being let in, or from being cut off.
 */
export function listCredentials(dir: string): Credential[] {
  if (!statSync(folderOf(dir), { throwIfNoEntry: false })) return [];
  return readdirSync(folderOf(dir))
    .sort()
    .map((file) => join(folderOf(dir), file))
    .filter((path) => principal.safeParse(identityOf(path)?.role).success)
    .flatMap((path) => {
      try {
        return readCredential(path);
      } catch {
        return [];
      }
    });
}

/** Makes a credential for one more agent. @throws QuestbusError AGENT_EXISTS */
export function addCredential(dir: string, { role, name }: AgentId): Credential {
  const path = credentialPath(dir, role, agentName.parse(name));
  makeFolder(dir);
  if (makeSecretFile(path, createUser().getSeed())) return readCredential(path);
  throw new QuestbusError({
    code: "AGENT_EXISTS",
    message: `there is an agent ${role}/${name} already`,
    where: path,
    next: `take another name, or end it first: questbus agent revoke ${name} --role ${role}`,
  });
}

/** Removes a credential; its holder is no user of the broker's next configuration. @throws QuestbusError AGENT_NOT_FOUND */
export function removeCredential(dir: string, { role, name }: AgentId): void {
  const path = credentialPath(dir, role, name);
  try {
    rmSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    throw new QuestbusError({
      code: "AGENT_NOT_FOUND",
      message: `there is no agent ${role}/${name}`,
      where: path,
      next: "see which there are: questbus agent list",
    });
  }
}

/** How often the folder is looked at. Asked, not told: a system that ran out of watches would tell nothing. */
const lookEveryMs = 200;

/** Calls `onChange` after credentials were added or removed; the result stops it. */
export function watchCredentials(dir: string, onChange: () => void): () => void {
  const folder = folderOf(dir);
  watchFile(folder, { interval: lookEveryMs, persistent: false }, onChange);
  return () => unwatchFile(folder, onChange);
}
