import { z } from "zod";

export const decisions = ["accept", "revert", "retry", "abandon"] as const;
/** accept: integrate what was kept. revert: put everything back. retry: one more pass. abandon: close it as it is. */
export const decision = z.enum(decisions).meta({ id: "Decision" });
export type Decision = z.infer<typeof decision>;

export const escalationReason = z.enum([
  "passes-used-up",
  "no-fixer-left",
  "budget-used-up",
  "conflict",
  "integration-failed",
]);
export type EscalationReason = z.infer<typeof escalationReason>;
