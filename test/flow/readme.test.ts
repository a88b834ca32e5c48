import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  openPlace,
  type Place,
  program,
  type Running,
  runGit,
  startProgram,
  until,
  watchJournal,
} from "@questbus/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readSubmission } from "../../packages/cli/src/quest-file.ts";

/** What the README gives to copy works as it stands there, in a plain Node repository. */

const readme = readFileSync(join(import.meta.dirname, "..", "..", "README.md"), "utf8");
const block = (language: string): string =>
  new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\``, "m").exec(readme)?.[1] ?? "";

const slow = `/** The most common words with their counts, most common first. */
export function mostCommon(words, count) {
  const unique = [];
  for (const word of words) if (!unique.includes(word)) unique.push(word);
  return unique
    .map((word) => [word, words.filter((each) => each === word).length])
    .sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1))
    .slice(0, count);
}
`;
const faster = slow
  .replace("  const unique = [];\n  for", "  const counts = new Map();\n  for")
  .replace("if (!unique.includes(word)) unique.push(word)", "counts.set(word, (counts.get(word) ?? 0) + 1)")
  .replace(
    "return unique\n    .map((word) => [word, words.filter((each) => each === word).length])",
    "return [...counts]",
  );
const suite = `import assert from "node:assert/strict";
import { test } from "node:test";
import { mostCommon } from "../src/words.mjs";
test("the most common word comes first", () => assert.deepEqual(mostCommon(["b", "a", "b"], 1), [["b", 2]]));
`;

let place: Place;
const write = (path: string, text: string): void => writeFileSync(place.path(path), text);
const bench = (seed: string): string =>
  execFileSync("node", ["bench.mjs"], {
    cwd: place.dir,
    env: { ...process.env, QUESTBUS_SEED: seed },
    encoding: "utf8",
  });

beforeAll(() => {
  place = openPlace("readme", "preferred");
  for (const folder of ["src", "test"]) mkdirSync(place.path(folder));
  write("package.json", '{ "type": "module", "scripts": { "test": "node --test" } }\n');
  write("src/words.mjs", slow);
  write("test/words.test.mjs", suite);
  write("bench.mjs", block("js"));
  runGit(place.dir, "init", "--quiet");
  runGit(place.dir, "add", "--all");
  runGit(place.dir, "commit", "--quiet", "--message", "Words");
  write("src/words.mjs", faster);
  write("faster.patch", `${runGit(place.dir, "diff", "--", "src")}\n`);
  runGit(place.dir, "checkout", "--quiet", "--", "src");
  write("quest.yaml", block("yaml"));
});
afterAll(() => place.close());

test("the benchmark draws its workload from the seed, and prints figure and digest", () => {
  const digestOf = (printed: string): string | undefined => /^DIGEST (\w{64})$/m.exec(printed)?.[1];
  const once = bench("7");
  expect(once).toMatch(/^METRIC count_ms=\d+(\.\d+)?$/m);
  expect(digestOf(once)).toBeDefined();
  write("src/words.mjs", faster);
  expect(digestOf(bench("7"))).toBe(digestOf(once));
  const largest = digestOf(bench(String(2n ** 64n - 1n)));
  expect(largest).toBeDefined();
  expect(largest).not.toBe(digestOf(once));
  runGit(place.dir, "checkout", "--quiet", "--", "src");
});

test("the quest file is admitted, with its patch", async () => {
  const { command } = await readSubmission(place.path("quest.yaml"), { acceptDetectable: false });
  expect(command.document).toMatchObject({ intent: "optimize", goal: { improveBy: "50%" } });
  expect(command.resolved).toEqual([{ name: "faster.patch", sha256: expect.stringMatching(/^\w{64}$/) }]);
});

const hasSpoken = ({ printed }: Running): boolean =>
  /questbus is up|works with/.test(Object.values(printed()).join());

test("four commands lead from the demo to an assignment that an agent of one's own has done", async () => {
  const lines = /^From there[\s\S]*?^```sh\n([\s\S]*?)^```/m.exec(readme)?.[1]?.trim().split("\n") ?? [];
  expect(lines).toHaveLength(4);
  const [demo = "", ...others] = lines;
  expect(demo).toBe("npm run demo");
  // What the demo leaves, without the quests that it runs.
  const left = openPlace("readme-agent", "preferred");
  const examples = join(import.meta.dirname, "..", "..", "examples");
  const made = (...parts: string[]): string => left.path(".questbus", "demo", ...parts);
  for (const name of ["access-report", "fixes", "faster-report.quest.yaml"])
    cpSync(join(examples, name), made(name), { recursive: true });
  runGit(made("access-report"), "init", "--quiet");
  runGit(made("access-report"), "add", "--all");
  runGit(made("access-report"), "commit", "--quiet", "--message", "Access report");
  const sinceMs = performance.now();
  const own = (line: string): string =>
    line.replace(/ &$/, "").replace("npx questbus", `exec "${process.execPath}" "${program}"`);
  const running: Running[] = [];
  for (const line of others) {
    // As one does who types: what the line before says is waited for.
    await until("what was started before to have said so", () => running.every((each) => hasSpoken(each)));
    running.push(startProgram(left, "sh", ["-c", own(line)]));
  }
  const journal = watchJournal(left.path(".questbus"));
  const { actor, body } = await journal.until("task.reported", ({ report }) => report.task === "plan");
  const tookS = (performance.now() - sinceMs) / 1_000;
  process.stderr.write(
    `from the demo's end to an assignment that an agent of one's own has done: ${tookS.toFixed(1)} s\n`,
  );
  journal.close();
  for (const each of running.toReversed()) {
    each.signal("SIGINT");
    await each.ended;
  }
  await left.close();
  expect(actor).toEqual({ role: "architect", name: "command" });
  expect(body.report).toMatchObject({
    fault: null,
    summary: expect.stringMatching(/; my agent has looked$/),
  });
}, 120_000);
