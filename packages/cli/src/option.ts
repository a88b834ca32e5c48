import type { agentName, deadId, escalationId, questId } from "@questbus/protocol";
import { type Command, InvalidArgumentError } from "commander";
import type { Common } from "./command-run.ts";

/** What the commands of the program share: the options that all of them take, and values that are ids. */

/** What a program run gives back: its exit code. */
export type Ended = (exit: number) => void;

export const valid =
  (schema: typeof questId | typeof escalationId | typeof deadId | typeof agentName) =>
  (value: string): string => {
    const parsed = schema.safeParse(value);
    if (parsed.success) return value;
    throw new InvalidArgumentError(parsed.error.issues[0]?.message ?? "not valid");
  };

export const validEach =
  (schema: typeof deadId) =>
  (value: string, before: string[] = []): string[] => [...before, valid(schema)(value)];

export const withCommon = (command: Command): Command =>
  command
    .option("--state <dir>", "state directory", ".questbus")
    .option("--json", "print data as JSON", false);

export function commonOf(command: Command, signal: AbortSignal): Common {
  const { state, json } = command.opts<{ state: string; json: boolean }>();
  return { state, json, signal };
}

/** `audit --state DIR verify` and `audit verify --state DIR` mean the same. */
export function merged(command: Command, parent: Command, signal: AbortSignal): Common {
  const own = commonOf(command, signal);
  const above = commonOf(parent, signal);
  const stateGiven = command.getOptionValueSource("state") === "cli";
  return { state: stateGiven ? own.state : above.state, json: own.json || above.json, signal };
}
