import { makeTarget, openPlace, type Place, questbus, writeQuest } from "@questbus/testkit";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { summaryOf } from "./expectation.ts";

vi.setConfig({ testTimeout: 300_000, hookTimeout: 60_000 });

/** A real server, whose report adds up the same numbers twice; the change adds them up once. */

const server = `import { createServer } from "node:http";
import { report } from "./src/report.mjs";

createServer((_, response) => response.end(JSON.stringify(report()))).listen(Number(process.env.PORT), "127.0.0.1");
`;
const report = `const numbers = Array.from({ length: 400_000 }, (_, at) => (at * 7919) % 1009);

function total() {
  let sum = 0;
  for (const number of numbers) sum += number % 7;
  return sum;
}

export function report() {
  return { total: total(), mean: total() / numbers.length };
}
`;
const once = report.replace(
  "return { total: total(), mean: total() / numbers.length };",
  "const sum = total();\n  return { total: sum, mean: sum / numbers.length };",
);
const suite = `import { report } from "./src/report.mjs";
const { total, mean } = report();
if (total !== mean * 400_000) throw new Error("another mean");
`;

let place: Place;
beforeAll(() => {
  place = openPlace("http");
});
afterAll(() => place.close());

test("a server that answers in half the time is accepted, and nothing of it runs on", async () => {
  const target = makeTarget(place, { "server.mjs": server, "src/report.mjs": report, "test.mjs": suite });
  target.git("checkout", "--quiet", "-b", "once");
  target.commit({ "src/report.mjs": once });
  target.git("checkout", "--quiet", "main");
  const node = `"${process.execPath}"`;
  const file = writeQuest(place, {
    intent: "validate",
    target: { candidate: "once" },
    fixers: undefined,
    measure: {
      command: undefined,
      http: { start: `${node} server.mjs`, load: { connections: 1, duration: "150ms", warmup: "50ms" } },
      metric: { name: "p50_ms", from: "autocannon:latency.p50", unit: "ms" },
    },
    guards: [{ name: "rate", from: "autocannon:requests.mean", better: "higher", worseBy: "20%" }],
    tests: { command: `${node} test.mjs` },
  });
  const done = await questbus(place, ["run", file, "--json"]);
  expect(done.exit, done.stderr).toBe(0);
  const { verdict, passes } = summaryOf(done);
  expect(verdict).toBe("ACCEPT");
  expect(passes[0]?.effect?.estimate).toBeGreaterThan(0.2);
});
