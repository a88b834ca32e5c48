import { randomUUID } from "node:crypto";
import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { QuestbusError } from "@questbus/protocol";
import { startTimeOf } from "@questbus/workbench/process-group";
import { z } from "zod";

/**
 * `stack.json`: where the stack of a state directory listens, and which process started it. `id`: this very stack, and no
 * later one on the same state.
 */
export type StackAddress = { url: string; space: string; id: string };

const stackFile = (dir: string): string => join(dir, "stack.json");
const stackRecord = z.object({
  id: z.string(),
  url: z.string(),
  space: z.string(),
  pid: z.int(),
  /** When that process started: a number alone comes again, after a reboot or in a container. */
  start: z.string(),
});

function recordOf(dir: string): z.infer<typeof stackRecord> | null {
  try {
    return stackRecord.parse(JSON.parse(readFileSync(stackFile(dir), "utf8")));
  } catch {
    return null;
  }
}

/** The record of a stack whose process lives. */
function livingRecord(dir: string): z.infer<typeof stackRecord> | null {
  const record = recordOf(dir);
  return record && startTimeOf(record.pid) === record.start ? record : null;
}

/** Where the stack of a state directory listens; null when none is running. */
export function findStack(dir: string): StackAddress | null {
  const record = livingRecord(dir);
  if (!record) return null;
  const { id, url, space } = record;
  return { id, url, space };
}

/** The lock of the store would refuse as well, but not say who holds it. @throws QuestbusError STATE_LOCKED */
export function refuseRunning(dir: string): void {
  const record = livingRecord(dir);
  if (!record) return;
  throw new QuestbusError({
    code: "STATE_LOCKED",
    message: `a Questbus runs on this state directory already: process ${record.pid}`,
    where: dir,
    next: `use that one, or end it first: Ctrl-C where it was started, or kill ${record.pid}; or name another --state DIR`,
  });
}

/** Says that this process runs the stack, for as long as it lives. */
export function recordStack(dir: string, { url, space }: Omit<StackAddress, "id">): void {
  const { pid } = process;
  const record = { id: randomUUID(), url, space, pid, start: startTimeOf(pid) };
  const fresh = `${stackFile(dir)}.${pid}`;
  writeFileSync(fresh, JSON.stringify(record), { mode: 0o600 });
  renameSync(fresh, stackFile(dir));
}

/** Another stack's record stays. */
export function forgetStack(dir: string): void {
  if (recordOf(dir)?.pid === process.pid) rmSync(stackFile(dir), { force: true });
}

export const notRunning = (dir: string): QuestbusError =>
  new QuestbusError({
    code: "NOT_RUNNING",
    message: `no Questbus is running on ${dir}`,
    next: "start one with questbus up, or name another --state DIR",
  });
