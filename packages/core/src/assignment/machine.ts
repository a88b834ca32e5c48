import type { Phase } from "@questbus/protocol";
import { assign, setup, transition } from "xstate";

/**
 * The one machine of a role agent: test → fix → validate, at most `passesMax` times, then escalate.
 *
 * `idle` stands between passes. `PASS_STARTED` is the only way into `test`, and its guard is the pass limit: a fourth
 * pass is not a case to forget, it is a transition that does not exist. An arbiter's `PASS_GRANTED` moves the limit,
 * once. The orchestrator steps one instance for each role of a quest; an agent steps its own through the phases of
 * its grant. No `after`, no `invoke`: time and work belong to the shells (design, decision 7).
 *
 * Invariants: I1 a pass runs test, fix, validate in this order; I2 a pass beyond `passesMax` cannot start; I3 one
 * pass is granted, once; I4 nothing leaves `ended`.
 */
type MachineContext = { pass: number; passesMax: number; grantsLeft: number };

export type MachineEvent =
  | { type: "PASS_STARTED" }
  | { type: "PHASE_DONE" }
  | { type: "PASS_ENDED" }
  | { type: "ESCALATED" }
  | { type: "PASS_GRANTED" }
  | { type: "ENDED" };

const assignmentMachine = setup({
  types: { context: {} as MachineContext, events: {} as MachineEvent, input: {} as MachineContext },
  guards: {
    passLeft: ({ context }) => context.pass < context.passesMax,
    grantLeft: ({ context }) => context.grantsLeft > 0,
  },
  actions: {
    countPass: assign({ pass: ({ context }) => context.pass + 1 }),
    grantPass: assign({
      passesMax: ({ context }) => context.pass + 1,
      grantsLeft: ({ context }) => context.grantsLeft - 1,
    }),
  },
}).createMachine({
  id: "assignment",
  context: ({ input }) => input,
  initial: "idle",
  states: {
    idle: {
      on: {
        PASS_STARTED: { guard: "passLeft", target: "test", actions: "countPass" },
        ESCALATED: "escalated",
        ENDED: "ended",
      },
    },
    test: { on: { PHASE_DONE: "fix", PASS_ENDED: "idle", ENDED: "ended" } },
    fix: { on: { PHASE_DONE: "validate", PASS_ENDED: "idle", ENDED: "ended" } },
    validate: { on: { PASS_ENDED: "idle", ENDED: "ended" } },
    escalated: {
      on: {
        PASS_GRANTED: { guard: "grantLeft", target: "idle", actions: "grantPass" },
        // A ruling that could not be carried out goes back to the arbiter.
        ESCALATED: "escalated",
        ENDED: "ended",
      },
    },
    ended: { type: "final" },
  },
});

/** What is stored of a machine: its state's name and its counters. */
export type MachineState = { value: Phase | "idle" | "escalated" | "ended"; context: MachineContext };

export const newMachine = (passesMax: number, grantsLeft: number): MachineState => ({
  value: "idle",
  context: { pass: 0, passesMax, grantsLeft },
});

/**
 * Steps that were taken before. There are few: some hundred, with the limits of a quest. One takes xstate 15 µs, and a
 * replay takes four for every phase of every pass.
 */
const known = new Map<string, MachineState | null>();
const knownMax = 10_000;

/** The machine after `event`, or null when the machine has no such transition. What it gives is frozen. */
export function stepMachine(state: MachineState, event: MachineEvent): MachineState | null {
  const { pass, passesMax, grantsLeft } = state.context;
  const step = `${state.value} ${pass} ${passesMax} ${grantsLeft} ${event.type}`;
  const found = known.get(step);
  if (found !== undefined) return found;
  const taken = takeStep(state, event);
  if (known.size >= knownMax) known.clear();
  known.set(step, taken);
  return taken;
}

function takeStep(state: MachineState, event: MachineEvent): MachineState | null {
  const snapshot = assignmentMachine.resolveState(state);
  if (!snapshot.can(event)) return null;
  const [{ value, context }] = transition(assignmentMachine, snapshot, event);
  return Object.freeze({ value: value as MachineState["value"], context: Object.freeze(context) });
}
