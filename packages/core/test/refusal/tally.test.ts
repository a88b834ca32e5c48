import fc from "fast-check";
import { expect, test } from "vitest";
import { Tally } from "../../src/index.ts";

const bounds = { keptMax: 3, windowMs: 100 };

test("T3, T2: the first of a sender are kept; those beyond are counted, said at once and then once a window", () => {
  const tally = new Tally<number>(bounds);
  expect([1, 2, 3, 4].map((each) => tally.take("a", each, 10))).toEqual([true, true, true, false]);
  expect(tally.take("b", 5, 20)).toBe(true);
  expect(tally.nextMs()).toBeLessThanOrEqual(20);
  expect(tally.due(20)).toEqual([{ sender: "a", count: 1, last: 4 }]);
  expect([6, 7].map((each) => tally.take("a", each, 30))).toEqual([false, false]);
  expect(tally.nextMs()).toBe(120);
  expect(tally.due(119)).toEqual([]);
  expect(tally.due(120)).toEqual([{ sender: "a", count: 2, last: 7 }]);
  expect(tally.nextMs()).toBe(Number.POSITIVE_INFINITY);
  expect(tally.take("a", 8, 121)).toBe(true);
});

test("a count that could not be said is said later", () => {
  const tally = new Tally<string>(bounds);
  tally.putBack([{ sender: "a", count: 4, last: "x" }], 10);
  expect(tally.due(10)).toEqual([{ sender: "a", count: 4, last: "x" }]);
});

test("T1, T2: whatever comes when, each is kept or counted, and no window keeps more than it may", () => {
  const step = fc.record({ afterMs: fc.nat(150), sender: fc.constantFrom("a", "b"), isSaid: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const tally = new Tally<number>(bounds);
      const kept: { sender: string; atMs: number }[] = [];
      const said: { sender: string; atMs: number }[] = [];
      let [nowMs, counted] = [0, 0];
      const say = (all: boolean): void => {
        for (const { sender, count } of tally.due(nowMs, all)) {
          counted += count;
          if (!all) said.push({ sender, atMs: nowMs });
        }
      };
      for (const { afterMs, sender, isSaid } of steps) {
        nowMs += afterMs;
        if (isSaid) say(false);
        if (tally.take(sender, nowMs, nowMs)) kept.push({ sender, atMs: nowMs });
      }
      say(true);
      expect(kept.length + counted).toBe(steps.length);
      for (const [each, most] of [
        // A span as long as a window lies in two of them at most.
        [kept, 2 * bounds.keptMax],
        [said, 1],
      ] as const)
        for (const { sender, atMs } of each) {
          const after = each.filter((one) => one.sender === sender && one.atMs >= atMs);
          expect(after.filter((one) => one.atMs < atMs + bounds.windowMs).length).toBeLessThanOrEqual(most);
        }
    }),
  );
});
