import { z } from "zod";

const verdicts = [
  "ACCEPT",
  "KEEP",
  "NO_EFFECT",
  "BELOW_MIN_EFFECT",
  "GUARD_REGRESSION",
  "TESTS_FAILED",
  "HACK_SUSPECTED",
  "INCONCLUSIVE",
  "ENV_UNFIT",
  "CRASH",
] as const;
export const verdictWord = z.enum(verdicts).meta({ id: "Verdict" });
export type VerdictWord = z.infer<typeof verdictWord>;

/** A relative gain: 0.2 is 20 % better, whichever way better is; `level` is the interval's coverage. */
export const effect = z.strictObject({
  estimate: z.number(),
  low: z.number(),
  high: z.number(),
  level: z.number(),
});
export type Effect = z.infer<typeof effect>;

export const guardFinding = z.strictObject({
  name: z.string(),
  state: z.enum(["holds", "regressed", "undecided"]),
  /** Estimated worsening as a fraction; null when it could not be computed. */
  worsening: z.number().nullable(),
  /** Evidence (e-value) that the worsening is below the bound. */
  e: z.number(),
});
export type GuardFinding = z.infer<typeof guardFinding>;

export const verdict = z.strictObject({
  verdict: verdictWord,
  /** Plain sentences, most important first. */
  reasons: z.array(z.string()).min(1),
  /** Against last known-good, from the confirmation pairs where there are any. */
  effect: effect.nullable(),
  /** Against the quest's own base. */
  total: effect.nullable(),
  /** Evidence (e-value) for a gain above the margin, and against the smallest effect worth chasing. */
  e: z.number(),
  eFutility: z.number(),
  /** E had to reach 1/alpha. */
  alpha: z.number(),
  /** Pairs spent on the decision. */
  pairs: z.int().min(0),
  guards: z.array(guardFinding),
});
export type Verdict = z.infer<typeof verdict>;
