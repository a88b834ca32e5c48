import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { existsSync, readFileSync, statSync } from "node:fs";
import { makeSecretFile } from "@questbus/bus";
import { QuestbusError } from "@questbus/protocol";

/** What a client of the HTTP door shows: a random text in a file that its owner alone may read. Kept here as its hash. */
export type BearerToken = { readonly path: string; readonly sha256: Buffer };

const tokenBytes = 32;
const hashOf = (text: string): Buffer => createHash("sha256").update(text).digest();

/** @throws QuestbusError FILE_UNUSABLE when others may read it: it is no secret any more */
export function ensureBearerToken(path: string): BearerToken {
  // Where another process made it meanwhile, that one is used by both.
  if (!statSync(path, { throwIfNoEntry: false }))
    makeSecretFile(path, `${randomBytes(tokenBytes).toString("base64url")}\n`);
  if ((statSync(path).mode & 0o077) !== 0)
    throw new QuestbusError({
      code: "FILE_UNUSABLE",
      message: "others than its owner may read the token, so that it is none any more",
      where: path,
      next: "delete the file: a new token is made at the next start",
    });
  return { path, sha256: hashOf(readFileSync(path, "utf8").trim()) };
}

/** Compares in a time that says nothing of where they differ. A token ends with its file: its agent was revoked, say. */
export function isBearer({ path, sha256 }: BearerToken, header: string | undefined): boolean {
  const [, given] = /^Bearer +(\S+)$/i.exec(header ?? "") ?? [];
  return given !== undefined && timingSafeEqual(hashOf(given), sha256) && existsSync(path);
}
