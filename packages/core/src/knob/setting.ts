import { createHash } from "node:crypto";
import type { Knob, KnobDomain, KnobValue } from "@questbus/protocol";

/** One value for each parameter, by name. */
export type KnobSetting = Readonly<Record<string, KnobValue>>;

/** The same text for the same setting. */
export const settingText = (setting: KnobSetting): string =>
  Object.entries(setting)
    .map(([name, value]) => `${name}=${String(value)}`)
    .join(" ");

/** How often a draw that was seen before is repeated, for each setting that is wanted. */
const drawsPerSetting = 64;

/** A number from 0 up to, not including, 1: the first 48 bits of sha256(`seed:at`). */
export function unitOf(seed: string, at: string | number): number {
  return createHash("sha256").update(`${seed}:${at}`).digest().readUIntBE(0, 6) / 2 ** 48;
}

/** The value of a domain at `unit`, which is from 0 up to, not including, 1. Never outside its ends. */
export function valueAt(domain: KnobDomain, unit: number): KnobValue {
  if (domain.kind === "values") return domain.values[Math.floor(unit * domain.values.length)] as KnobValue;
  const { from, to, scale, integer } = domain;
  // Each integer gets the same share: the interval reaches half a step beyond its ends.
  const [low, high] = integer && scale === "linear" ? [from - 0.5, to + 0.5] : [from, to];
  const drawn =
    scale === "log"
      ? Math.exp(Math.log(low) + unit * (Math.log(high) - Math.log(low)))
      : low + unit * (high - low);
  // Six digits: a setting is there to be read by people.
  const rounded = integer ? Math.round(drawn) : Number(drawn.toPrecision(6));
  return Math.min(to, Math.max(from, rounded));
}

/**
 * Draws up to `count` settings that differ, each parameter on its own (random search: Bergstra & Bengio 2012). A
 * setting that `isExcluded` names is not drawn, so that a later pass searches on. Deterministic in the seed; fewer
 * come where the space holds no more.
 */
export function drawSettings(
  parameters: readonly Knob[],
  options: { seed: string; count: number; isExcluded?: (setting: KnobSetting) => boolean },
): KnobSetting[] {
  const { seed, count, isExcluded = () => false } = options;
  const seen = new Set<string>();
  const found: KnobSetting[] = [];
  for (let at = 0; found.length < count && at < count * drawsPerSetting; at += 1) {
    const setting = Object.fromEntries(
      parameters.map(({ name, domain }) => [name, valueAt(domain, unitOf(seed, `${at}:${name}`))]),
    );
    const text = JSON.stringify(setting);
    if (seen.has(text)) continue;
    seen.add(text);
    if (!isExcluded(setting)) found.push(setting);
  }
  return found;
}
