import { openScene, type Scene, writeQuest } from "@questbus/testkit";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { summaryOf, verdictsOf } from "./expectation.ts";

vi.setConfig({ testTimeout: 180_000, hookTimeout: 180_000 });

/** A bench that prints what it computed: other output is no gain, and ten times less with the same output is one. */

const bench = `set -e
sh report.sh data/numbers.txt >"$TMPDIR/report" 2>"$TMPDIR/counts"
awk '/^steps/ { print "METRIC steps=" $2 } /^cells/ { print "METRIC cells=" $2 }' "$TMPDIR/counts"
echo "DIGEST $(cksum <"$TMPDIR/report") $QUESTBUS_SEED"
`;

let scene: Scene;
beforeAll(async () => {
  scene = await openScene("digest");
  scene.target.commit({ "bench.sh": bench });
});
afterAll(() => scene.close());

test("another output ends its pass; a very large gain is measured again, and the journal says the same later", async () => {
  const file = writeQuest(scene.place, {
    fixers: [
      {
        command: `sed -i 's|print "mean " total() / count|print "mean " int(total() / count)|' src/report.awk`,
      },
      { command: "sed -i 's/steps++/steps += 0.05/' src/least.awk src/most.awk src/total.awk" },
    ],
  });
  const done = await scene.cli("run", file, "--json");
  expect(done.exit, done.stderr).toBe(0);
  const summary = summaryOf(done);
  expect(verdictsOf(summary)).toEqual(["HACK_SUSPECTED", "ACCEPT"]);
  expect(summary.passes[1]?.effect?.estimate).toBeCloseTo(0.95, 6);
  const explained = await scene.cli("verdict", "explain", summary.quest, "--pass", "1", "--json");
  expect(explained.stdout).toContain("The candidate's output is another");
  const again = await scene.cli("verdict", "explain", summary.quest, "--pass", "2");
  expect(again.stdout).toContain("Measured again in fresh trees");
  expect((await scene.cli("audit", "verify")).exit).toBe(0);
});
