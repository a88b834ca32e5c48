import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify,
} from "node:crypto";
import { existsSync, linkSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { type Fault, limit, QuestbusError } from "@questbus/protocol";
import { syncPath, writeDurably } from "./durable.ts";
import type { Head } from "./journal.ts";
import { makeDir } from "./place.ts";

/**
 * Checkpoints: what the chain was, signed, and kept outside of the database. Who cuts the journal off, or writes it anew
 * with its head, has a chain in order; that it is another one shows here.
 *
 * The text is a C2SP tlog-checkpoint in a signed note (c2sp.org/tlog-checkpoint, c2sp.org/signed-note): origin, number of
 * rows, and as root the hash of the chain at that row, which is no Merkle root: it proves all rows at once, not one alone.
 */
export type Signer = { name: string; sign(head: Head): string; verifierKey: string };
/** `file`: where it was read. */
export type Checkpoint = Head & { file: string };

const originOf = (installation: string): string => `questbus/${installation}`;

const rawKey = (key: KeyObject): Buffer => {
  // Of a private key, too, this is the public half.
  const { x = "" } = key.export({ format: "jwk" });
  return Buffer.from(x, "base64url");
};
/** Algorithm byte of Ed25519, then the key. */
const typedKey = (key: KeyObject): Buffer => Buffer.concat([Buffer.of(1), rawKey(key)]);
const keyIdOf = (name: string, key: KeyObject): Buffer =>
  createHash("sha256").update(`${name}\n`).update(typedKey(key)).digest().subarray(0, 4);

const verifierKeyOf = (name: string, key: KeyObject): string =>
  `${name}+${keyIdOf(name, key).toString("hex")}+${typedKey(key).toString("base64")}`;

/** The key of this installation, made at its first start, readable by its owner only. */
const checkpointKeyPath = (stateDir: string): string => join(stateDir, "credentials", "checkpoint-key.pem");
export const checkpointsDir = (stateDir: string): string => join(stateDir, "checkpoints");

function ensureKey(path: string): KeyObject {
  if (!existsSync(path)) {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    const { privateKey } = generateKeyPairSync("ed25519");
    const fresh = `${path}.${process.pid}`;
    writeDurably(fresh, privateKey.export({ format: "pem", type: "pkcs8" }).toString());
    try {
      linkSync(fresh, path);
      syncPath(dirname(path));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    } finally {
      rmSync(fresh, { force: true });
    }
  }
  return readKey(path);
}

/** @throws QuestbusError FILE_UNUSABLE */
function readKey(path: string): KeyObject {
  try {
    const key = createPrivateKey(readFileSync(path));
    if (key.asymmetricKeyType !== "ed25519") throw new Error("it is no Ed25519 key");
    return key;
  } catch (error) {
    throw new QuestbusError({
      code: "FILE_UNUSABLE",
      message: `the key that signs checkpoints cannot be read (${error instanceof Error ? error.message : error}): none is signed, rows and backups are kept on`,
      where: path,
      next: `make it this user's own with mode 0600, or move ${path} away: the running stack makes another, and verifier-key gets its line`,
    });
  }
}

/** What keeps the checkpoints of a state from being signed; null without a key, which the first start makes. */
export function signerFault(stateDir: string): Fault | null {
  const path = checkpointKeyPath(stateDir);
  try {
    if (existsSync(path)) readKey(path);
    return null;
  } catch (error) {
    if (error instanceof QuestbusError) return error.faults[0] as Fault;
    throw error;
  }
}

/** Signs for one installation, with the key that is kept in its state directory. @throws QuestbusError FILE_UNUSABLE */
export function openSigner(stateDir: string, installation: string): Signer {
  const key = ensureKey(checkpointKeyPath(stateDir));
  const name = originOf(installation);
  return {
    name,
    verifierKey: verifierKeyOf(name, key),
    sign({ seq, hash }) {
      const text = `${name}\n${seq}\n${Buffer.from(hash, "hex").toString("base64")}\n`;
      const signature = Buffer.concat([keyIdOf(name, key), sign(null, Buffer.from(text), key)]);
      return `${text}\n— ${name} ${signature.toString("base64")}\n`;
    },
  };
}

const notesIn = (dir: string): string[] =>
  existsSync(dir)
    ? readdirSync(dir)
        .filter((name) => /^\d{15}\.checkpoint$/.test(name))
        .sort()
    : [];

/** Puts the checkpoint of `head` into every folder, with the key that it is checked with, and forgets the oldest ones. */
export function storeCheckpoint(dirs: readonly string[], signer: Signer, head: Head): void {
  const note = signer.sign(head);
  for (const dir of dirs) {
    makeDir(dir);
    const keyFile = join(dir, "verifier-key");
    // Where the key was lost, as with a disk, what the one before signed is still checked with its own line.
    const known = verifierKeyIn(dir)?.split("\n") ?? [];
    if (!known.includes(signer.verifierKey))
      writeDurably(keyFile, `${[...known, signer.verifierKey].join("\n")}\n`);
    writeDurably(join(dir, `${String(head.seq).padStart(15, "0")}.checkpoint`), note);
    for (const name of notesIn(dir).slice(0, -limit.checkpointsMax)) rmSync(join(dir, name));
  }
}

function publicKeyOf(verifierKey: string): { name: string; key: KeyObject } | null {
  const [, name, , encoded] = /^(.+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)$/.exec(verifierKey.trim()) ?? [];
  const typed = Buffer.from(encoded ?? "", "base64");
  if (!name || typed.length !== 33 || typed[0] !== 1) return null;
  const x = typed.subarray(1).toString("base64url");
  return { name, key: createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" }) };
}

/** After a restore to row `seq`: what was signed later is moved to a folder of its own. */
export function setAsideCheckpoints(dir: string, seq: number, name: string): void {
  const later = notesIn(dir).filter((note) => Number.parseInt(note, 10) > seq);
  if (later.length > 0) mkdirSync(join(dir, name), { recursive: true, mode: 0o700 });
  for (const note of later) renameSync(join(dir, note), join(dir, name, note));
}

/** What a note says, when `key` signed it; else null. */
function opened(note: string, name: string, key: KeyObject): Head | null {
  const [, text, seq, hash, rest] =
    /^((?:.+)\n(\d+)\n([A-Za-z0-9+/]{43}=)\n)\n((?:— .+\n)+)$/.exec(note) ?? [];
  if (!text?.startsWith(`${name}\n`) || !rest) return null;
  const signed = rest.split("\n").some((line) => {
    const encoded = line.startsWith(`— ${name} `) ? line.slice(`— ${name} `.length) : "";
    const bytes = Buffer.from(encoded, "base64");
    return (
      bytes.subarray(0, 4).equals(keyIdOf(name, key)) &&
      verify(null, Buffer.from(text), key, bytes.subarray(4))
    );
  });
  return signed ? { seq: Number(seq), hash: Buffer.from(hash ?? "", "base64").toString("hex") } : null;
}

/** What the notes of a folder are checked with, as their makers left it there: a line for each key. */
export const verifierKeyIn = (dir: string): string | null =>
  existsSync(join(dir, "verifier-key")) ? readFileSync(join(dir, "verifier-key"), "utf8").trim() : null;

/**
 * The checkpoints of a folder, oldest first; `unsigned` names the files that no key of the lines signed.
 *
 * @throws QuestbusError USAGE when no line is a key of this installation
 */
export function readCheckpoints(
  dir: string,
  verifierKeys: string,
  installation: string,
): { signed: Checkpoint[]; unsigned: string[] } {
  const name = originOf(installation);
  const keys = verifierKeys
    .split("\n")
    .map(publicKeyOf)
    .filter((key) => key?.name === name);
  if (keys.length === 0) {
    throw new QuestbusError({
      code: "USAGE",
      message: `the key does not sign checkpoints of ${name}`,
      where: dir,
      next: "give the line of the file verifier-key that was kept with the checkpoints of this state",
    });
  }
  const signed: Checkpoint[] = [];
  const unsigned: string[] = [];
  for (const each of notesIn(dir)) {
    const file = join(dir, each);
    const note = readFileSync(file, "utf8");
    const [head] = keys.flatMap((found) => (found && opened(note, name, found.key)) ?? []);
    if (head) signed.push({ ...head, file });
    else unsigned.push(file);
  }
  return { signed, unsigned };
}

/**
 * What checkpoints show that a chain in order does not: rows cut off at its end, and a chain written anew. `hashAt` gives
 * the hash of a row of the journal. Places are told as narrowly as the checkpoints stand.
 */
export function checkpointFaults(
  checkpoints: readonly Checkpoint[],
  head: Head,
  hashAt: (seq: number) => string | null,
): string[] {
  const same = checkpoints.filter(({ seq, hash }) => seq <= head.seq && hashAt(seq) === hash);
  const lastSame = same.at(-1)?.seq ?? 0;
  const other = checkpoints.find(({ seq, hash }) => seq <= head.seq && hashAt(seq) !== hash);
  const cut = checkpoints.findLast(({ seq }) => seq > head.seq);
  return [
    ...(other
      ? [
          `the journal was written anew: of rows ${Math.min(lastSame, other.seq - 1) + 1} to ${other.seq} at least one is not what ${other.file} signed`,
        ]
      : []),
    ...(cut
      ? [
          `the journal was cut off: it ends at row ${head.seq}, and ${cut.file} signed ${cut.seq} rows, so rows ${head.seq + 1} to ${cut.seq} are missing`,
        ]
      : []),
  ];
}
