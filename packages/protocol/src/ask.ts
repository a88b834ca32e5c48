import { z } from "zod";
import { routing } from "./activation.ts";
import { fault, type Phase, phase, phases } from "./assignment.ts";
import { type Stated, statedShape } from "./certainty.ts";
import { askId, type Role, role } from "./identity.ts";
import { limit } from "./limit.ts";

/** The words of autonomous mode: a question or task for one role, outside any quest. */

/** Nested no deeper than `max`: what walks over it later recurses. */
function isFlatterThan(max: number, value: unknown): boolean {
  if (value === null || typeof value !== "object") return true;
  return max > 0 && Object.values(value).every((each) => isFlatterThan(max - 1, each));
}

/** Any JSON value of bounded size. */
const boundedJson = z
  .unknown()
  .refine(
    (value) =>
      isFlatterThan(limit.askDepthMax, value) &&
      (JSON.stringify(value)?.length ?? 0) <= limit.askJsonCharsMax,
    {
      error: `at most ${limit.askJsonCharsMax} characters of JSON, nested at most ${limit.askDepthMax} deep`,
    },
  );

/** Phases in the order of a pass, each once. */
export const askPhases = z
  .array(phase)
  .min(1)
  .max(phases.length)
  .refine(
    (given) =>
      given.every((each, at) => at === 0 || phases.indexOf(each) > phases.indexOf(given[at - 1] as Phase)),
    { error: "name each phase once, in the order test, fix, validate" },
  );

const asked = {
  role,
  phases: askPhases,
  text: z.string().trim().min(1).max(limit.askTextCharsMax),
  data: boundedJson,
  /** Why this role, where its words or an event chose it; who named the role says nothing. */
  routing: routing.optional(),
};

/** A question: answered when its last phase is reported, or with `pending` when `waitMs` is over before. */
export const ask = z
  .strictObject({ ...asked, waitMs: z.int().min(0).max(limit.claimWaitMsMax) })
  .refine(({ role: to, routing: why }) => !why || choices(why).includes(to), {
    error: "the routing chose another role",
    path: ["routing"],
  });

const choices = ({ by, scores }: z.infer<typeof routing>): Role[] =>
  (by === "event" ? scores : scores.slice(0, 1)).map((each) => each.role);

/** What its holder found in one phase, or the fault that kept it from finding out, which ends the ask. */
const askOutcome = z
  .strictObject({
    assignment: askId,
    /** The fencing token of the grant. */
    epoch: z.int().min(1),
    phase,
    result: boundedJson,
    fault: fault.nullable().default(null),
    ...statedShape,
  })
  .refine((each) => each.fault === null || each.result === undefined || each.result === null, {
    error: "an outcome has either a result or a fault",
    path: ["result"],
  });
export type AskOutcome = z.infer<typeof askOutcome>;

/** A report on asks: one message carries what was finished together, and each counts for itself. */
export const askReport = z.strictObject({
  task: z.literal("ask"),
  asks: z.array(askOutcome).min(1).max(limit.asksClaimedMax),
});
export type AskReport = z.infer<typeof askReport>;

type Fault = z.infer<typeof fault>;

const leased = z.object({ ask: askId, epoch: z.int() });

/** The bodies of the events of asks. */
export const askEventBody = {
  "ask.submitted": z.object({ ask: askId, ...asked }),
  /** One agent took these, each under a lease of its own. */
  "ask.claimed": z.object({ asks: z.array(leased) }),
  /** Reporting the last phase answers the ask; a fault ends it. */
  "ask.reported": z.object({
    ask: askId,
    epoch: z.int(),
    phase,
    result: z.unknown(),
    fault: fault.nullable(),
    ...statedShape,
  }),
  /** An answer was not sure enough, and went back to its holder with what is missing; `ends`: for the last time. */
  "ask.returned": z.object({
    ask: askId,
    epoch: z.int(),
    phase,
    result: z.unknown(),
    ...statedShape,
    fault,
    ends: z.boolean(),
  }),
  "ask.released": z.object({ ask: askId, epoch: z.int(), reason: z.string() }),
  "ask.expired": z.object({
    /** `holder`: the agent, `role/name`; early journals do not say it. */
    asks: z.array(leased.extend({ holder: z.string().optional() })),
    reason: z.string(),
  }),
  /** It ended without an answer. */
  "ask.ended": z.object({ ask: askId, fault }),
} as const;

/** One ask, as its holder gets it. `results`: what earlier phases found, by whoever held it then. */
export type AskGrant = {
  assignment: string;
  epoch: number;
  phase: Phase;
  text: string;
  data: unknown;
  results: readonly unknown[];
  /** What was missing in the answer that came before to this phase, of this holder or another. */
  clarification?: Fault;
};

/**
 * What a report says of each ask, in the order of the report. `next`: the same lease goes on with this phase;
 * `clarification`: with the phase that was reported, whose answer lacks what `fault` says.
 */
export type AskReportAnswer = {
  asks: (
    | { status: "next"; assignment: string; epoch: number; phase: Phase }
    | { status: "clarification"; assignment: string; epoch: number; phase: Phase; fault: Fault }
    | { status: "ended"; assignment: string }
    | { status: "refused"; assignment: string; fault: Fault }
  )[];
};

/**
 * What an ask is answered with: the result of each phase, in order. `stated`: how sure each is; not there when none said so.
 * `clarification`: there is no answer, and `fault` says what is missing or asked back. While it is `pending`: the `phase` that
 * is to be done, who has it (`role/name`; null: nobody), the phases that agents of the role take at present (each of them
 * waits for asks, or holds one), and whether that phase is among them.
 */
export type AskAnswer =
  | { ask: string; status: "answered"; results: readonly unknown[]; stated?: readonly (Stated | null)[] }
  | { ask: string; status: "clarification"; fault: Fault }
  | { ask: string; status: "failed"; fault: Fault }
  | PendingAsk;
export type PendingAsk = {
  ask: string;
  status: "pending";
  phase: Phase;
  holder: string | null;
  takers: boolean;
  takes: readonly Phase[];
};
