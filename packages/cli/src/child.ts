import type { ChildProcess } from "node:child_process";
import { closeSync, openSync, writeFileSync } from "node:fs";
import { type Fault, QuestbusError } from "@questbus/protocol";

/** The processes of a stack: waiting for one to be ready, ending it, keeping what it says. */

const readyMsMax = 20_000;
const stopMsMax = 8_000;

export function exitOf(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((done) => child.once("exit", () => done()));
}

/** A child that lived this long had started well. */
export const steadyMs = 10_000;

type End = Pick<ChildProcess, "exitCode" | "signalCode">;

/**
 * What an operator is told of the deaths of one part of a stack, which is started again each time: of the first, and that
 * it dies on and on; null for what is no news.
 */
export function openDeaths(name: string, log: string): (end: End, livedMs: number) => string | null {
  let count = 0;
  return ({ exitCode, signalCode }, livedMs) => {
    count = livedMs > steadyMs ? 1 : count + 1;
    const how = signalCode ?? `exit code ${exitCode}`;
    if (count === 1) return `${name} died (${how}), and is started again`;
    return count === 2 ? `${name} died again (${how}): it is tried on and on, and ${log} says why` : null;
  };
}

/** SIGTERM, and SIGKILL when that is not enough. */
export async function endChild(child: ChildProcess): Promise<void> {
  const timer = setTimeout(() => child.kill("SIGKILL"), stopMsMax);
  child.kill("SIGTERM");
  await exitOf(child);
  clearTimeout(timer);
}

/** What an orchestrator's process says: that it is ready, that it leads, why it cannot go on, or what its archive cannot do. */
export type Said = { ready?: true; leads?: number; faults?: Fault[]; archive?: string };

/** Waits for the word `ready`; a child that cannot start says why. */
export async function untilReady(child: ChildProcess, log: string): Promise<void> {
  const said = await new Promise<Said>((done) => {
    const timer = setTimeout(() => done({}), readyMsMax);
    child.once("message", (message) => {
      clearTimeout(timer);
      done(message as Said);
    });
    child.once("exit", () => {
      clearTimeout(timer);
      done({});
    });
  });
  if (said.ready) return;
  const [first, ...rest] = said.faults ?? [];
  const unsaid: Fault = {
    code: "INTERNAL",
    message: "the orchestrator did not start",
    where: log,
    next: "read the log",
  };
  throw new QuestbusError(first ?? unsaid, ...rest);
}

export function logFile(path: string): { onLog(line: string): void; close(): void } {
  const file = openSync(path, "a", 0o600);
  let open = true;
  return {
    onLog: (line) => {
      try {
        if (open) writeFileSync(file, `${line}\n`);
      } catch {
        // A full disk: the stack goes on without the line.
      }
    },
    close: () => {
      if (open) closeSync(file);
      open = false;
    },
  };
}
