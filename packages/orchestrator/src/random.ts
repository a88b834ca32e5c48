import { randomBytes } from "node:crypto";
import type { DecideContext } from "@questbus/core";

/** Where the names and seeds of a decision come from. */
export type Random = { id: DecideContext["newId"]; seed: DecideContext["newSeed"] };

/** Random names of eight characters that are easy to read aloud. */
export const cryptoRandom: Random = {
  id: (prefix) =>
    prefix + Array.from(randomBytes(8), (byte) => "23456789abcdefghjkmnpqrstvwxyz12"[byte % 32]).join(""),
  seed: () => randomBytes(16).toString("hex"),
};
