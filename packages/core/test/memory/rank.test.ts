import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { leastUseful, ranked, standing, wilsonLowerBound } from "../../src/memory/rank.ts";

const uses = fc.nat(2_000).chain((n) => fc.record({ uses: fc.constant(n), successes: fc.nat(n) }));
const found = fc
  .array(fc.tuple(uses, fc.double({ min: 1e-7, max: 50, noNaN: true })), { maxLength: 40 })
  .map((list) => list.map(([each, relevance], seq) => ({ ...each, relevance, seq })));

describe("Wilson's lower bound", () => {
  // z = 1.96; figures as in Brown, Cai, DasGupta, Interval estimation for a binomial proportion, 2001, and by hand.
  test.each([
    [0, 0, 0],
    [0, 1, 0],
    [1, 1, 0.2065],
    [1, 2, 0.0945],
    [2, 3, 0.2077],
    [1, 3, 0.0615],
    [0, 10, 0],
    [5, 10, 0.2366],
    [8, 10, 0.4902],
    [10, 10, 0.7225],
    [50, 100, 0.4038],
    [80, 100, 0.7112],
    [800, 1_000, 0.7741],
  ])("%d of %d is %d", (successes, of, bound) => {
    expect(wilsonLowerBound(successes, of)).toBeCloseTo(bound, 4);
  });

  test("lies between 0 and the share, and solves Wilson's equation", () => {
    fc.assert(
      fc.property(uses, ({ uses: n, successes }) => {
        const bound = wilsonLowerBound(successes, n);
        const share = n === 0 ? 0 : successes / n;
        expect(bound).toBeGreaterThanOrEqual(0);
        expect(bound).toBeLessThanOrEqual(share);
        // (share - p)² = z² p (1 - p) / n
        if (n > 0) expect((share - bound) ** 2).toBeCloseTo((1.96 ** 2 * bound * (1 - bound)) / n, 9);
      }),
    );
  });
});

describe("standing", () => {
  test("a success raises it, a failure lowers it, and more of the same share raises it", () => {
    fc.assert(
      fc.property(uses, ({ uses: n, successes }) => {
        const now = standing({ uses: n, successes });
        expect(standing({ uses: n + 1, successes: successes + 1 })).toBeGreaterThan(now);
        expect(standing({ uses: n + 1, successes })).toBeLessThan(now);
      }),
    );
    expect(standing({ uses: 100, successes: 80 })).toBeGreaterThan(standing({ uses: 1, successes: 1 }));
  });

  test("without uses it is above nought, below one success, and above one failure", () => {
    const fresh = standing({ uses: 0, successes: 0 });
    expect(fresh).toBeCloseTo(0.0945, 4);
    expect(fresh).toBeLessThan(standing({ uses: 1, successes: 1 }));
    expect(fresh).toBeGreaterThan(standing({ uses: 1, successes: 0 }));
  });
});

describe("what is given", () => {
  const at = (seq: number, relevance: number, n = 0, successes = 0) => ({
    seq,
    relevance,
    uses: n,
    successes,
  });
  const order = (list: ReturnType<typeof at>[], most: number) => ranked(list, most).map(({ seq }) => seq);

  test.each([
    ["what fits better comes first", [at(1, 1), at(2, 3), at(3, 2)], 5, [2, 3, 1]],
    ["of two that fit alike, the one that helped", [at(1, 1, 9, 0), at(2, 1, 9, 8)], 5, [2, 1]],
    ["one that helped outweighs a somewhat better fit", [at(1, 2, 9, 1), at(2, 1, 9, 8)], 5, [2, 1]],
    ["of equals the newer", [at(1, 1), at(2, 1)], 5, [2, 1]],
    ["an untried one has the last place", [at(1, 9, 9, 9), at(2, 8, 9, 9), at(3, 0.01)], 2, [1, 3]],
    ["but not the only one", [at(1, 9, 9, 9), at(3, 0.01)], 1, [1]],
    ["nothing of nothing", [], 5, []],
  ])("%s", (_what, list, most, wanted) => {
    expect(order(list, most)).toEqual(wanted);
  });

  test("it is at most so many, each once, of those that were found; an untried one is among them where there is one", () => {
    fc.assert(
      fc.property(found, fc.integer({ min: 2, max: 8 }), (list, most) => {
        const given = ranked(list, most);
        expect(given).toHaveLength(Math.min(list.length, most));
        expect(new Set(given.map(({ seq }) => seq)).size).toBe(given.length);
        for (const each of given) expect(list).toContain(each);
        const isUntried = (each: { uses: number }) => each.uses < 3;
        expect(given.some(isUntried)).toBe(list.some(isUntried));
      }),
    );
  });

  test("a success does not worsen a memory's place", () => {
    fc.assert(
      fc.property(found, fc.nat(), (list, pick) => {
        fc.pre(list.length > 0);
        const one = list[pick % list.length] as (typeof list)[number];
        const better = list.map((each) =>
          each === one ? { ...each, uses: each.uses + 1, successes: each.successes + 1 } : each,
        );
        const place = (from: typeof list) =>
          ranked(from, from.length).findIndex(({ seq }) => seq === one.seq);
        expect(place(better)).toBeLessThanOrEqual(place(list));
      }),
    );
  });
});

test("the least useful is the one that failed most often; of equals the oldest", () => {
  const list = [
    { seq: 1, uses: 0, successes: 0 },
    { seq: 2, uses: 4, successes: 0 },
    { seq: 3, uses: 4, successes: 0 },
  ];
  expect(leastUseful(list)).toBe(list[1]);
  expect(leastUseful(list.slice(0, 1))).toBe(list[0]);
  expect(leastUseful([])).toBeNull();
});
