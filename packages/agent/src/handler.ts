import { type Phase, phases, type SignOff } from "@questbus/protocol";
import type { AskTask } from "./asks.ts";
import type { Behaviour, Outcome, TaskContext } from "./behaviour.ts";
import type { TurnHandler } from "./turns.ts";

/**
 * The handlers of an agent of a user's own, one a phase, and what they make of it: the behaviour of a quest's assignments,
 * and the answers of asks.
 *
 * What a handler returns becomes the report; what it throws becomes the fault in it.
 */

/** A piece of work, as a handler gets it. */
export type Work =
  | (TaskContext & {
      kind: "assignment";
      phase: Phase;
      /** Says what is done now, in a few words; a lease under which nothing is said for five minutes ends. */
      progress(text: string): void;
      /** What the built-in agent of the role does here. */
      builtIn(): Promise<Outcome>;
    })
  | (Pick<AskTask, "phase" | "text" | "data" | "results" | "clarification" | "signal"> & {
      kind: "ask";
      progress(text: string): void;
    });

/**
 * For an ask: any JSON value, or one with its certainty (`stated`). For an assignment: an `Outcome`; or a part of one without a `result`, which is said on top of
 * what the built-in agent finds; or nothing, which leaves it to that.
 */
export type Handler = (work: Work) => unknown;
export type Handlers = Partial<Record<Phase, Handler>> & {
  /** Answers the turns of conversations that the agent's role takes part in; without it, it takes no part. */
  turn?: TurnHandler;
};

/** What an agent may say of an assignment without having done it itself. */
export type Said = Partial<Pick<Outcome, "summary" | "signOff" | "suspicions">>;

/** Both have looked: a no of either is a no, and what either suspects is suspected. */
export function saidOnTop(found: Outcome, { summary, signOff, suspicions = [] }: Said): Outcome {
  return {
    ...found,
    summary: summary ? `${found.summary}; ${summary}` : found.summary,
    ...joinedSignOff(found.signOff, signOff),
    suspicions: [...(found.suspicions ?? []), ...suspicions],
  };
}

/** An assignment that asks for no sign-off gets none. */
function joinedSignOff(found: SignOff | undefined, said: SignOff | undefined): { signOff?: SignOff } {
  if (!found) return {};
  if (!said) return { signOff: found };
  const vote = found.vote === "no" || said.vote === "no" ? "no" : "yes";
  return { signOff: { vote, reasons: [...found.reasons, ...said.reasons] } };
}

/** The behaviour that these handlers make of a role's own; a phase without one is done as the built-in agent does it. */
export function behaviourOf(handlers: Handlers, builtIn: Behaviour): Behaviour {
  const phaseOf =
    (phase: Phase) =>
    async (context: TaskContext): Promise<Outcome> => {
      const own = (): Promise<Outcome> => builtIn[phase](context);
      const handler = handlers[phase];
      if (!handler) return own();
      const said = await handler({
        ...context,
        kind: "assignment",
        phase,
        progress: context.step,
        builtIn: own,
      });
      if (isOutcome(said)) return { ...said, summary: said.summary ?? `${phase}: no summary was given` };
      return saidOnTop(await own(), (said ?? {}) as Said);
    };
  return { test: phaseOf("test"), fix: phaseOf("fix"), validate: phaseOf("validate") };
}

const isOutcome = (said: unknown): said is Outcome =>
  typeof said === "object" && said !== null && "result" in said;

/** The phases that these handlers answer asks in. */
export const answeredPhases = (handlers: Handlers): Phase[] => phases.filter((phase) => handlers[phase]);

/** The answer of an ask's phase, one that there is a handler for. */
export function answerWith(handlers: Handlers): (task: AskTask) => unknown {
  return (task) => {
    const { phase, text, data, results, clarification, progress } = task;
    const handler = handlers[phase] as Handler;
    return handler({
      kind: "ask",
      phase,
      text,
      data,
      results,
      ...(clarification ? { clarification } : {}),
      get signal() {
        return task.signal;
      },
      progress,
    });
  };
}
