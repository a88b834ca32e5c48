import { createHmac, hash } from "node:crypto";
import type { Pair } from "@questbus/protocol";

/**
 * Which arm of pair `index` (from 0) runs first: one fair coin a pair, from the first bit of sha256(`seed:index`).
 * Anyone who holds the seed can draw it again, so a pair measured in another order shows.
 */
export function firstOfPair(seed: string, index: number): "base" | "candidate" {
  return hash("sha256", `${seed}:${index}`) < "8" ? "base" : "candidate";
}

/** The seed of the confirmation series. */
export const confirmationSeed = (seed: string): string => `${seed}:confirmation`;

/** The seed of the series against the quest's own base. */
export const totalSeed = (seed: string): string => `${seed}:total`;

/** The seed of the series that measures a very large gain again. */
export const remeasureSeed = (seed: string): string => `${seed}:remeasure`;

/**
 * The seed of the workload of pair `index` of the series that `seed` draws, the same in both arms: the first 64 bits of
 * HMAC-SHA256(`key`, `seed:index`) as a decimal number. The key is drawn after the candidate was made, so that nothing
 * a candidate could have read says which workloads it will meet.
 */
export function workloadSeed(key: string, seed: string, index: number): string {
  const bytes = createHmac("sha256", Buffer.from(key, "hex")).update(`${seed}:${index}`).digest();
  return bytes.readBigUInt64BE().toString();
}

/** The first pair that was not measured in the order its seed drew, or null. */
export function firstOutOfOrder(seed: string, pairs: readonly Pair[]): number | null {
  const at = pairs.findIndex((pair, index) => pair.first !== firstOfPair(seed, index));
  return at < 0 ? null : at;
}
