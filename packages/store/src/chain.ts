import { createHash } from "node:crypto";
import { canonicalText, type JournalRow } from "@questbus/protocol";

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

/** Canonical text of a row without its hash; the body goes in as it is stored, so that every byte of it counts. */
function rowText(row: TextRow): string {
  const { body, ...rest } = row;
  const field = (name: keyof typeof rest): string => `"${name}":${canonicalText(rest[name])}`;
  const after = (["command", "id", "quest", "seq", "timeMs", "type"] as const).map(field).join(",");
  return `{${field("actor")},"body":${body},${after}}`;
}

export const genesisHash = (installation: string): string =>
  createHash("sha256").update(`questbus:${installation}`).digest("hex");

export const rowHash = (row: TextRow, hashBefore: string): string =>
  createHash("sha256")
    .update(Uint8Array.of(0))
    .update(rowText(row))
    .update(Buffer.from(hashBefore, "hex"))
    .digest("hex");

/** The id of a row: unique among all installations that share a broker. */
export const rowId = (installation: string, seq: number): string => `${installation}-${seq}`;
