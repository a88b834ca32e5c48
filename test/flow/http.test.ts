import { makeTarget, openPlace, type Place, questbus, writeQuest } from "@questbus/testkit";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { summaryOf } from "./expectation.ts";

vi.setConfig({ testTimeout: 400_000, hookTimeout: 60_000 });

/** A real server that asks a slow store for three things and does not need the slowest; the change asks for two. */

const server = `import { createServer } from "node:http";
import { report } from "./src/report.mjs";

createServer(async (_, response) => response.end(JSON.stringify(await report()))).listen(
  Number(process.env.PORT),
  "127.0.0.1",
);
`;
const store = `import { setTimeout as wait } from "node:timers/promises";

const things = { total: 120, count: 4, history: [] };
export const lookUp = (name) => wait(name === "history" ? 60 : 1, things[name]);
`;
const report = `import { lookUp } from "./store.mjs";

export async function report() {
  const total = await lookUp("total");
  const count = await lookUp("count");
  await lookUp("history");
  return { total, mean: total / count };
}
`;
const without = report.replace('  await lookUp("history");\n', "");
const suite = `import { report } from "./src/report.mjs";
const { total, mean } = await report();
if (total !== 120 || mean !== 30) throw new Error("another report");
`;

let place: Place;
beforeAll(() => {
  place = openPlace("http", "preferred");
});
afterAll(() => place.close());

test("a server that is more than ten times as fast is accepted where its answers are compared, and nothing of it runs on", async () => {
  const target = makeTarget(place, {
    "server.mjs": server,
    "src/store.mjs": store,
    "src/report.mjs": report,
    "test.mjs": suite,
  });
  target.git("checkout", "--quiet", "-b", "without");
  target.commit({ "src/report.mjs": without });
  target.git("checkout", "--quiet", "main");
  const node = `"${process.execPath}"`;
  const file = writeQuest(place, {
    intent: "validate",
    target: { candidate: "without" },
    fixers: undefined,
    measure: {
      command: undefined,
      http: { start: `${node} server.mjs`, load: { connections: 1, duration: "150ms" }, digest: true },
      // The fastest answer, because what else this machine does meanwhile makes the others slower.
      metric: { name: "least_ms", from: "autocannon:latency.min", unit: "ms" },
    },
    guards: process.platform === "linux" ? [{ name: "memory", from: "max-rss", worseBy: "50%" }] : [],
    tests: { command: `${node} test.mjs` },
  });
  const done = await questbus(place, ["run", file, "--json"]);
  expect(done.exit, done.stderr).toBe(0);
  const { verdict, passes } = summaryOf(done);
  expect(verdict).toBe("ACCEPT");
  expect(passes[0]?.effect?.estimate).toBeGreaterThan(0.9);
});
