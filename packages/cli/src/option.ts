import {
  type agentName,
  type approvalId,
  type askId,
  type deadId,
  durationText,
  type escalationId,
  type eventName,
  type memoryId,
  type Phase,
  parseDurationMs,
  phases,
  type questId,
} from "@questbus/protocol";
import { type Command, InvalidArgumentError } from "commander";
import type { Common } from "./command-run.ts";

/** What the commands of the program share: the options that all of them take, and values that are ids. */

/** What a program run gives back: its exit code. */
export type Ended = (exit: number) => void;

export const valid =
  (
    schema:
      | typeof questId
      | typeof escalationId
      | typeof deadId
      | typeof agentName
      | typeof approvalId
      | typeof askId
      | typeof eventName
      | typeof memoryId,
  ) =>
  (value: string): string => {
    const parsed = schema.safeParse(value);
    if (parsed.success) return value;
    throw new InvalidArgumentError(parsed.error.issues[0]?.message ?? "not valid");
  };

export const validEach =
  (schema: typeof deadId | typeof memoryId) =>
  (value: string, before: string[] = []): string[] => [...before, valid(schema)(value)];

export const stateDirDefault = ".questbus";

export const withCommon = (command: Command): Command =>
  command
    .option("--state <dir>", "state directory", stateDirDefault)
    .option("--json", "print data as JSON", false);

export function commonOf(command: Command, signal: AbortSignal): Common {
  type Options = { state: string; json: boolean; unsafeNoSandbox?: true };
  const { state, json, unsafeNoSandbox } = command.optsWithGlobals<Options>();
  return { state, json, signal, sandbox: unsafeNoSandbox && "off" };
}

/** `audit --state DIR verify` and `audit verify --state DIR` mean the same. */
export function merged(command: Command, parent: Command, signal: AbortSignal): Common {
  const own = commonOf(command, signal);
  const above = commonOf(parent, signal);
  const stateGiven = command.getOptionValueSource("state") === "cli";
  return { ...own, state: stateGiven ? own.state : above.state, json: own.json || above.json };
}

export function phaseList(text: string): Phase[] {
  const named = text.split(",");
  const found = phases.filter((each) => named.includes(each));
  if (found.length === named.length) return found;
  throw new InvalidArgumentError(`write some of ${phases.join(",")}`);
}

export function durationOf(text: string): number {
  const read = durationText.safeParse(text);
  if (read.success) return parseDurationMs(text);
  throw new InvalidArgumentError(read.error.issues[0]?.message ?? "write a duration");
}
