import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type MachineEvent,
  type MachineState,
  newMachine,
  stepMachine,
} from "../../src/assignment/machine.ts";

type Name = MachineState["value"];
type EventName = MachineEvent["type"];

const names: readonly Name[] = ["idle", "test", "fix", "validate", "escalated", "ended"];
const eventNames: readonly EventName[] = [
  "PASS_STARTED",
  "PHASE_DONE",
  "PASS_ENDED",
  "ESCALATED",
  "PASS_GRANTED",
  "ENDED",
];

/** Every transition there is; what is not named here must not exist. */
const table: Record<Name, Partial<Record<EventName, Name>>> = {
  idle: { PASS_STARTED: "test", ESCALATED: "escalated", ENDED: "ended" },
  test: { PHASE_DONE: "fix", PASS_ENDED: "idle", ENDED: "ended" },
  fix: { PHASE_DONE: "validate", PASS_ENDED: "idle", ENDED: "ended" },
  validate: { PASS_ENDED: "idle", ENDED: "ended" },
  escalated: { PASS_GRANTED: "idle", ESCALATED: "escalated", ENDED: "ended" },
  ended: {},
};

const cases = names.flatMap((from) =>
  eventNames.map((type) => ({ from, type, to: table[from][type] ?? null })),
);
const counters = { pass: 1, passesMax: 3, grantsLeft: 1 };
const events = fc.array(fc.constantFrom(...eventNames), { maxLength: 60 });

/** The states a machine goes through; an event it has no transition for leaves it where it is. */
function walk(first: MachineState, types: readonly EventName[]): MachineState[] {
  const seen = [first];
  for (const type of types) {
    const at = seen.at(-1) as MachineState;
    seen.push(stepMachine(at, { type }) ?? at);
  }
  return seen;
}

describe("every state and every event", () => {
  it.each(cases)("$from, $type: $to", ({ from, type, to }) => {
    const next = stepMachine({ value: from, context: counters }, { type });
    expect(next?.value ?? null).toBe(to);
  });

  it("only a start counts a pass, and only a grant moves the limit", () => {
    for (const { from, type, to } of cases) {
      if (to === null) continue;
      const next = stepMachine({ value: from, context: counters }, { type });
      const passes = type === "PASS_STARTED" ? 1 : 0;
      const grants = type === "PASS_GRANTED" ? 1 : 0;
      expect(next?.context).toEqual({
        pass: 1 + passes,
        // One pass is granted from where the quest stands, however many it had left.
        passesMax: grants === 1 ? counters.pass + 1 : counters.passesMax,
        grantsLeft: 1 - grants,
      });
    }
  });

  it("a step leaves the state it began from as it was", () => {
    const first = newMachine(3, 1);
    stepMachine(first, { type: "PASS_STARTED" });
    expect(first).toEqual(newMachine(3, 1));
  });
});

describe("the limits", () => {
  const idleAfter = (pass: number, passesMax: number): MachineState => ({
    value: "idle",
    context: { pass, passesMax, grantsLeft: 1 },
  });

  it.each([1, 2, 3])("I2: with a limit of %i the next pass does not exist", (passesMax) => {
    expect(stepMachine(idleAfter(passesMax - 1, passesMax), { type: "PASS_STARTED" })?.value).toBe("test");
    expect(stepMachine(idleAfter(passesMax, passesMax), { type: "PASS_STARTED" })).toBeNull();
  });

  it("I2: a fourth pass does not exist, a granted one does, a fifth does not", () => {
    const round: EventName[] = ["PASS_STARTED", "PHASE_DONE", "PHASE_DONE", "PASS_ENDED"];
    const three = walk(newMachine(3, 1), [...round, ...round, ...round]).at(-1) as MachineState;
    expect(stepMachine(three, { type: "PASS_STARTED" })).toBeNull();
    const four = walk(three, ["ESCALATED", "PASS_GRANTED", ...round]).at(-1) as MachineState;
    expect(four.context).toEqual({ pass: 4, passesMax: 4, grantsLeft: 0 });
    expect(stepMachine(four, { type: "PASS_STARTED" })).toBeNull();
  });

  it("I3: a second grant does not exist", () => {
    const spent: MachineState = { value: "escalated", context: { pass: 4, passesMax: 4, grantsLeft: 0 } };
    expect(stepMachine(spent, { type: "PASS_GRANTED" })).toBeNull();
  });
});

describe("whatever happens in whatever order", () => {
  const limits = fc.record({
    passesMax: fc.integer({ min: 1, max: 3 }),
    grants: fc.integer({ min: 0, max: 1 }),
  });

  it("I1: a phase is entered only from the one before it", () => {
    const before: Partial<Record<Name, Name>> = { test: "idle", fix: "test", validate: "fix" };
    fc.assert(
      fc.property(events, (types) => {
        const seen = walk(newMachine(3, 1), types);
        seen.slice(1).forEach((state, at) => {
          const from = seen[at] as MachineState;
          if (from.value !== state.value && before[state.value]) expect(from.value).toBe(before[state.value]);
        });
      }),
    );
  });

  it("I2 and I3: never more passes than the limit and its grants", () => {
    fc.assert(
      fc.property(limits, events, ({ passesMax, grants }, types) => {
        const seen = walk(newMachine(passesMax, grants), types);
        const started = seen.filter(
          (state, at) => at > 0 && state.context.pass > (seen[at - 1] as MachineState).context.pass,
        );
        expect(started.length).toBe(seen.at(-1)?.context.pass);
        for (const { context } of seen) {
          expect(context.pass).toBeLessThanOrEqual(context.passesMax);
          expect(context.passesMax + context.grantsLeft).toBeLessThanOrEqual(passesMax + grants);
          expect(context.grantsLeft).toBeGreaterThanOrEqual(0);
        }
      }),
    );
  });

  it("I4: nothing leaves ended", () => {
    fc.assert(
      fc.property(events, events, (before, after) => {
        const ended = walk(newMachine(3, 1), before).at(-1) as MachineState;
        const last: MachineState = { ...ended, value: "ended" };
        for (const state of walk(last, after)) expect(state).toEqual(last);
      }),
    );
  });
});
