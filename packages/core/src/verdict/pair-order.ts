import { createHash } from "node:crypto";
import type { Pair } from "@questbus/protocol";

/**
 * Which arm of pair `index` (from 0) runs first: one fair coin a pair, from the first bit of sha256(`seed:index`).
 * Anyone who holds the seed can draw it again, so a pair measured in another order shows.
 */
export function firstOfPair(seed: string, index: number): "base" | "candidate" {
  const byte = createHash("sha256").update(`${seed}:${index}`).digest()[0] as number;
  return byte < 128 ? "base" : "candidate";
}

/** The seed of the confirmation series. */
export const confirmationSeed = (seed: string): string => `${seed}:confirmation`;

/** The seed of the series against the quest's own base. */
export const totalSeed = (seed: string): string => `${seed}:total`;

/** The first pair that was not measured in the order its seed drew, or null. */
export function firstOutOfOrder(seed: string, pairs: readonly Pair[]): number | null {
  const at = pairs.findIndex((pair, index) => pair.first !== firstOfPair(seed, index));
  return at < 0 ? null : at;
}
