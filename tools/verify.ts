/**
 * `npm run verify`: everything CI checks, in the order of its cost. Stops at the first step that fails, with exit 1.
 *
 *   --keep-going   run every step, then fail
 *   --no-tests     leave the tests out (CI has just run `npm test`)
 */
import { spawnSync } from "node:child_process";
import { delimiter, join } from "node:path";
import { performance } from "node:perf_hooks";

type Step = { name: string; command: string; args: string[]; next: string };

const root = join(import.meta.dirname, "..");
const steps: Step[] = [
  { name: "format", command: "biome", args: ["format", "."], next: "npm run format" },
  {
    name: "lint",
    command: "biome",
    args: ["lint", "--error-on-warnings", "."],
    next: "biome lint --write .",
  },
  { name: "types", command: "tsc", args: ["-p", "."], next: "see the errors above" },
  { name: "schemas", command: "node", args: ["tools/schemas.ts", "--check"], next: "npm run schemas" },
  {
    name: "unused",
    command: "knip",
    args: ["--no-progress", "--no-config-hints"],
    next: "remove what is listed, or use it",
  },
  { name: "tests", command: "vitest", args: ["run"], next: "vitest run <file>" },
];

const known = ["--keep-going", "--no-tests"];
const flags = process.argv.slice(2);
const unknown = flags.filter((flag) => !known.includes(flag));
if (unknown.length > 0) {
  process.stderr.write(`error USAGE: unknown option ${unknown.join(" ")}\n  next: ${known.join(", ")}\n`);
  process.exit(2);
}

const say = (line: string): boolean => process.stdout.write(`${line}\n`);
const seconds = (sinceMs: number): string =>
  `${((performance.now() - sinceMs) / 1000).toFixed(1)} s`.padStart(8);
// The project's own tools and its Node come first, however this was started.
const env = { ...process.env, PATH: [join(root, "node_modules", ".bin"), process.env.PATH].join(delimiter) };

/** Runs one step. A check is quiet unless it fails; tests take longest, so their progress is shown. */
function passes({ name, command, args }: Step): boolean {
  const live = name === "tests";
  const run = spawnSync(command, args, {
    cwd: root,
    env,
    stdio: ["ignore", live ? "inherit" : "pipe", live ? "inherit" : "pipe"],
    maxBuffer: 64 * 1024 * 1024,
  });
  if (run.error) process.stderr.write(`${command}: ${run.error.message}\n`);
  if (run.status === 0) return true;
  if (!live) process.stderr.write(`${run.stdout ?? ""}${run.stderr ?? ""}`);
  return false;
}

const beganMs = performance.now();
const failed: Step[] = [];
let ran = 0;
for (const step of steps) {
  if (step.name === "tests" && flags.includes("--no-tests")) continue;
  const stepBeganMs = performance.now();
  const good = passes(step);
  ran += 1;
  say(
    `${good ? "ok    " : "FAILED"}  ${step.name.padEnd(8)} ${seconds(stepBeganMs)}   ${step.command} ${step.args.join(" ")}`,
  );
  if (good) continue;
  failed.push(step);
  say(`        next: ${step.next}`);
  if (!flags.includes("--keep-going")) break;
}

const outcome = failed.length === 0 ? "all green" : `failed: ${failed.map((step) => step.name).join(", ")}`;
say(`verify: ${ran} of ${steps.length} steps in ${seconds(beganMs).trim()}, ${outcome}`);
process.exitCode = failed.length === 0 ? 0 : 1;
