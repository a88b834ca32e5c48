import { accessSync, constants, existsSync } from "node:fs";
import { delimiter, join, resolve } from "node:path";
import { commandHandlers, joinAs, refuseAgentCommand } from "@questbus/agent";
import { addCredential, credentialPath } from "@questbus/bus";
import { exitCode, type Phase, QuestbusError, type Role } from "@questbus/protocol";
import { isOfStack, ofStack } from "./agent-name.ts";
import type { Common } from "./command-run.ts";
import { note, printFaults } from "./output.ts";
import { makeStateDir } from "./state-dir.ts";

export type CommandAgentOptions = {
  role: Role;
  name: string;
  credential?: string;
  phases: Phase[];
  timeout: number;
  env: string[];
  /** Whether the state directory was named. */
  given?: boolean;
};

/** `questbus agent run --role ROLE -- CMD ARGS...`: works until Ctrl-C. */
export async function runCommandAgent(
  command: readonly string[],
  { role, name, credential, phases, timeout, env, given: isGiven }: CommandAgentOptions,
  { state, json, signal }: Common,
): Promise<number> {
  refuseAgentCommand(role, command);
  refuseMissing(command[0] ?? "");
  const given = Object.fromEntries(env.map((each) => [each, variable(each)]));
  const credentials = credential ?? ensured(state, { role, name });
  const onTrouble = (faults: Parameters<typeof printFaults>[0]): void => printFaults(faults, json);
  const options = { credentials, role, signal, onTrouble, ...(isGiven ? { state } : {}) };
  await using agent = await joinAs(options);
  note(`${agent.role}/${agent.name} works with ${command[0]}; Ctrl-C ends it`);
  const { groups } = agent;
  await agent.handle(commandHandlers({ command, phases, timeoutMs: timeout, env: given, groups }));
  return exitCode.interrupted;
}

/** Before any work is taken: what cannot be started would fail all of it. */
function refuseMissing(program: string): void {
  const folders = program.includes("/") ? [""] : (process.env.PATH ?? "").split(delimiter);
  const isThere = folders.some((folder) => {
    try {
      accessSync(folder === "" ? resolve(program) : join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
  if (isThere) return;
  throw new QuestbusError({
    code: "AGENT_COMMAND_FAILED",
    message: `there is no program ${program}, or it may not be run`,
    where: program,
    next: "name one that is there, and make it executable: chmod +x",
  });
}

function variable(name: string): string {
  const value = process.env[name];
  if (value !== undefined) return value;
  throw new QuestbusError({
    code: "USAGE",
    message: `the variable ${name} is not set`,
    next: "set it, or leave --env out",
  });
}

/** The credential of that name in the state directory, made when there is none. */
function ensured(state: string, agent: { role: Role; name: string }): string {
  if (isOfStack(agent)) throw ofStack(agent);
  const dir = makeStateDir(state);
  const path = credentialPath(dir, agent.role, agent.name);
  return existsSync(path) ? path : addCredential(dir, agent).path;
}
