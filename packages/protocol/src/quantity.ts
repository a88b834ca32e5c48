import { z } from "zod";
import { limit } from "./limit.ts";

const durationPattern = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/;
const durationMs = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 } as const;
const percentPattern = /^(\d+(?:\.\d+)?)\s?%$/;

/** A length of time as people write it: `500ms`, `60s`, `10m`, `2h`. */
export const durationText = z
  .string()
  .regex(durationPattern, { error: "write a duration such as 500ms, 60s, 10m or 2h" })
  .refine((text) => !durationPattern.test(text) || parseDurationMs(text) > 0, {
    error: "a duration must be more than zero",
  })
  .refine((text) => !durationPattern.test(text) || parseDurationMs(text) <= limit.durationMsMax, {
    error: "a duration must be at most 168h (seven days)",
  })
  .meta({ id: "Duration", examples: ["60s"] });

/** A share as people write it: `20%`. */
export const percentText = z
  .string()
  .regex(percentPattern, { error: "write a percentage such as 20%" })
  .refine((text) => !percentPattern.test(text) || parsePercent(text) < 1, {
    error: "a percentage must be below 100%",
  })
  .meta({ id: "Percent", examples: ["20%"] });

/** Milliseconds of a {@link durationText}. */
export function parseDurationMs(text: string): number {
  const match = durationPattern.exec(text);
  if (!match) throw new RangeError(`not a duration: ${text}`);
  return Math.round(Number(match[1]) * durationMs[match[2] as keyof typeof durationMs]);
}

/** Fraction of a {@link percentText}: `20%` is 0.2. */
export function parsePercent(text: string): number {
  const match = percentPattern.exec(text);
  if (!match) throw new RangeError(`not a percentage: ${text}`);
  return Number(match[1]) / 100;
}

/** A fraction for people: 0.2 is `20 %`, 0.123 is `12.3 %`. */
export const percent = (fraction: number): string => `${Number((fraction * 100).toFixed(1))} %`;

/** A change for people, with its sign and always one decimal, so that columns line up: 0.2 is `+20.0 %`. */
export function signedPercent(fraction: number): string {
  const tenths = Math.round(fraction * 1_000) || 0;
  return `${tenths >= 0 ? "+" : ""}${(tenths / 10).toFixed(1)} %`;
}

/** `1 pair`, `2 pairs`. */
export const plural = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? "" : "s"}`;
