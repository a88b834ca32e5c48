import { createHash, hash } from "node:crypto";
import type { JournalRow } from "@questbus/protocol";

/**
 * The hash chain of the journal.
 *
 * `hash(n) = SHA-256(0x00 ‖ canonical(row n without its hash) ‖ hash(n-1))`, the hash before the first row being
 * `SHA-256("questbus:" + installation)`. Hashes go in as their 32 bytes; canonical means RFC 8785. The leading zero
 * byte is the leaf prefix of RFC 6962, so that a Merkle tree over the same leaves can be added later.
 */

/** A journal row whose body is still the text that the database holds. */
export type TextRow = Omit<JournalRow, "body" | "hash" | "type" | "actor" | "quest"> & {
  type: string;
  quest: string | null;
  actor: { role: string; name: string };
  body: string;
};

/** The canonical text of a string; one that UTF-8 cannot hold has none. */
function quoted(text: string): string {
  if (!text.isWellFormed()) throw new TypeError("only well-formed text has a canonical form");
  return JSON.stringify(text);
}
/** Names of which a journal has few, and each in many rows. */
const names = new Map<string, string>();
const namesMax = 1_000;

function quotedName(text: string): string {
  const known = names.get(text);
  if (known !== undefined) return known;
  if (names.size >= namesMax) names.clear();
  const found = quoted(text);
  names.set(text, found);
  return found;
}
const quotedOrNull = (text: string | null): string => (text === null ? "null" : quoted(text));

/**
 * Canonical text of a row without its hash; the body goes in as it is stored, so that every byte of it counts. Written
 * out, because this is most of what an append or a verification costs: keys in their order, and nothing looked up.
 */
const rowText = ({ actor, body, command, id, quest, seq, timeMs, type }: TextRow): string =>
  `{"actor":{"name":${quotedName(actor.name)},"role":${quotedName(actor.role)}},"body":${body},"command":${quotedOrNull(command)},"id":${quoted(id)},"quest":${quotedOrNull(quest)},"seq":${seq},"timeMs":${timeMs},"type":${quotedName(type)}}`;

export const genesisHash = (installation: string): string =>
  createHash("sha256").update(`questbus:${installation}`).digest("hex");

/** What is hashed of one row; kept, and grown to the largest so far. Its first byte stays zero. */
let input = Buffer.alloc(65_536);

export function rowHash(row: TextRow, hashBefore: string): string {
  const text = rowText(row);
  // UTF-8 takes three bytes for a UTF-16 unit at most.
  const bytesMax = 1 + 3 * text.length + 32;
  if (bytesMax > input.length) input = Buffer.alloc(2 * bytesMax);
  const end = 1 + input.write(text, 1, "utf8");
  const hashBytes = input.write(hashBefore, end, "hex");
  return hash("sha256", input.subarray(0, end + hashBytes), "hex");
}

/** The id of a row: unique among all installations that share a broker. */
export const rowId = (installation: string, seq: number): string => `${installation}-${seq}`;
