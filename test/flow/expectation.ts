import type { Finished } from "@questbus/testkit";
import { expect } from "vitest";

type Fault = { code: string; message: string; where?: string; next?: string };

type Effect = { estimate: number; low: number; high: number };

/** What `run`, `status`, `rule` and `cancel` print with `--json`, as the issue states it. */
export type Summary = {
  quest: string;
  status: string;
  verdict: string | null;
  passes: {
    n: number;
    fixer: string | null;
    tree: string | null;
    verdict: string | null;
    effect: Effect | null;
    pairs: number;
  }[];
  accepted: { branch: string; commit: string } | null;
  escalation: string | null;
  waits: { pass: number; fixer: string; refused: string | null } | null;
  withheld: { kind: string; scope?: string; why?: string; quest?: string } | null;
  audit: { head: string; length: number };
  stage: string;
  stages: {
    stage: string;
    state: string;
    produced: string[];
    artifacts: { kind: string; sha256: string }[];
  }[];
};

export function summaryOf({ stdout, stderr }: Finished): Summary {
  if (stdout === "") throw new Error(`nothing was printed but: ${stderr}`);
  return JSON.parse(stdout) as Summary;
}

export const verdictsOf = (summary: Summary): (string | null)[] =>
  summary.passes.map(({ verdict }) => verdict);

/** The faults that a run told with `--json`: one line of stderr, for programs. */
export function faultsOf({ stderr }: Finished): Fault[] {
  const lines = stderr.split("\n").filter((line) => line.startsWith('{"error":'));
  expect(lines, stderr).toHaveLength(1);
  return (JSON.parse(lines[0] as string) as { error: { faults: Fault[] } }).error.faults;
}

/** One fault with its next step, as a run with `--json` tells it, and no stack trace. */
export function expectFault(run: Finished, code: string, exit: number): void {
  expect(run.exit, run.stderr).toBe(exit);
  expect(faultsOf(run)).toEqual([expect.objectContaining({ code, next: expect.stringMatching(/\S.{8,}/) })]);
  expectNoTrace(run);
}

/** One clear error for people: its code, the next step, and no stack trace. */
export function expectClearError(run: Finished, code: string, exit: number): void {
  expect({ exit: run.exit, stderr: run.stderr }).toEqual({
    exit,
    stderr: expect.stringContaining(`error ${code}`),
  });
  expect(run.stderr.match(/^error /gm)).toHaveLength(1);
  expect(run.stderr).toMatch(/^ {2}next: \S.{8,}/m);
  expectNoTrace(run);
}

export function expectNoTrace({ stdout, stderr }: Finished): void {
  expect(stdout + stderr).not.toMatch(/^\s+at .+:\d+:\d+\)?$|node:internal|INTERNAL/m);
}
