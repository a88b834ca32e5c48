import type { Brief } from "./assignment.ts";
import type { Fault } from "./error.ts";
import type { Role } from "./identity.ts";

/** What is asked of those who supply candidates from outside. */

/** What a program needs to make a candidate: the `requests` answer has one for each pass that waits for one. */
export type CandidateRequest = {
  quest: string;
  pass: number;
  /** The words of the quest file. */
  ask: string | null;
  /** Where the files are: a commit of the target, and the commit the patch has to apply to, where gains were kept since. */
  base: { repo: string; commit: string };
  lastGood: { commit: string; tree: string };
  brief: Pick<Brief, "analysis" | "history" | "guidance" | "kept"> &
    Pick<Brief["spec"], "title" | "goal" | "measure" | "tests" | "guards" | "authority">;
  /** Why the candidate before was not taken; null: there was none. */
  refused: Fault | null;
};
export type RequestsAnswer = { status: "open"; requests: CandidateRequest[] } | { status: "none" };

/** Who may supply a candidate. */
export const suppliersOf: Record<"human" | "worker" | "turns", readonly (Role | "operator" | "worker")[]> = {
  human: ["operator"],
  worker: ["worker", "operator"],
  // Its conversation alone brings one.
  turns: [],
};
