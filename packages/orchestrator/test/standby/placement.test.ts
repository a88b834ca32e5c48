import type { JournalRow } from "@questbus/protocol";
import { describe, expect, test } from "vitest";
import { placeRows } from "../../src/standby/placement.ts";

/** Rows `from` to `to` as the leader of that name wrote them. */
const rows = (from: number, to: number, by = "a"): JournalRow[] =>
  Array.from(
    { length: to - from + 1 },
    (_, at) => ({ seq: from + at, hash: `${by}${from + at}` }) as JournalRow,
  );

/** A node that holds rows of leader a, of which the stream is known to have the first `heldSeq`. */
const standing = (headSeq: number, heldSeq: number) => ({
  headSeq,
  heldSeq,
  hashAt: (seq: number) => (seq >= 1 && seq <= headSeq ? `a${seq}` : null),
});

const seqs = (found: ReturnType<typeof placeRows>) => ({
  cutTo: found.cutTo,
  rows: found.rows.map(({ seq }) => seq),
});

describe("where the rows of a batch belong", () => {
  test.each([
    ["they go on from the last one", rows(6, 8), 5, 5, { cutTo: null, rows: [6, 7, 8] }],
    ["they are the first of all", rows(1, 2), 0, 0, { cutTo: null, rows: [1, 2] }],
    ["they are there already", rows(4, 5), 5, 5, { cutTo: null, rows: [] }],
    ["they are there, and held by nobody yet", rows(4, 5), 7, 3, { cutTo: null, rows: [] }],
    ["some are there already", rows(4, 8), 5, 5, { cutTo: null, rows: [6, 7, 8] }],
    ["there are none", [], 5, 5, { cutTo: null, rows: [] }],
    ["another leader's stand in the place of ours", rows(6, 7, "b"), 8, 5, { cutTo: 5, rows: [6, 7] }],
    [
      "another leader goes on from some of ours",
      [...rows(5, 6), ...rows(7, 7, "b")],
      8,
      4,
      { cutTo: 6, rows: [7] },
    ],
  ] as const)("%s", (_, given, headSeq, heldSeq, expected) => {
    expect(seqs(placeRows(given, standing(headSeq, heldSeq)))).toEqual(expected);
  });

  test.each([
    ["rows between ours and these are missing", rows(8, 9), 5, 5],
    ["another row stands where somebody was answered for ours", rows(5, 6, "b"), 8, 5],
    ["the cluster began anew", rows(1, 1, "b"), 8, 8],
  ] as const)("%s: the node does not go on", (_, given, headSeq, heldSeq) => {
    expect(() => placeRows(given, standing(headSeq, heldSeq))).toThrow(
      expect.objectContaining({ code: "STANDBY_APART" }),
    );
  });

  test("whatever two leaders wrote: what was held stays, and what comes out is the stream's", () => {
    for (let headSeq = 0; headSeq <= 6; headSeq += 1)
      for (let heldSeq = 0; heldSeq <= headSeq; heldSeq += 1)
        for (let from = 1; from <= headSeq + 1; from += 1)
          for (let fork = from; fork <= headSeq + 2; fork += 1) {
            const given = [...rows(from, fork - 1), ...rows(fork, fork + 1, "b")];
            const mustRefuse = fork <= Math.min(heldSeq, headSeq);
            const place = () => placeRows(given, standing(headSeq, heldSeq));
            if (mustRefuse) {
              expect(place).toThrow();
              continue;
            }
            const { cutTo, rows: taken } = place();
            const kept = rows(1, cutTo ?? headSeq);
            const hashes = [...kept, ...taken].map(({ hash }) => hash);
            expect(cutTo ?? headSeq).toBeGreaterThanOrEqual(heldSeq);
            expect(hashes).toEqual(
              [...rows(1, fork - 1), ...rows(fork, fork + 1, "b")].map(({ hash }) => hash),
            );
          }
  });
});
