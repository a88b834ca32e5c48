import { forbiddenArguments, forbiddenPrograms, forbiddenStarts } from "@questbus/core";
import { type FixerSpec, QuestbusError, type Role } from "@questbus/protocol";
import { builtInDefinition } from "./built-in.ts";
import type { AgentDefinition } from "./definition.ts";

type Policy = Pick<AgentDefinition, "role" | "commands" | "tools">;

const refused = (role: Role, what: readonly string[], where: string): QuestbusError =>
  new QuestbusError({
    code: "TOOL_FORBIDDEN",
    message: `the role ${role} may not use ${what.join(", ")}`.slice(0, 1_000),
    where: where.slice(0, 1_000),
    next: `leave it out, or allow it in agents/${role}/AGENT.md: questbus.commands, or tools`,
  });

/** Refuses a fixer that uses what the definition of its role does not allow. @throws TOOL_FORBIDDEN */
export function refuseTools({ role, ...policy }: Policy, fixer: FixerSpec): void {
  if (fixer.kind === "command") {
    const programs = forbiddenPrograms(fixer.command, policy);
    if (programs.length > 0) throw refused(role, programs, fixer.command);
  }
  if (fixer.kind !== "cli") return;
  const found = [
    ...forbiddenPrograms(fixer.cli, policy),
    ...forbiddenArguments(fixer.cli, fixer.extraArgs, policy),
  ];
  if (found.length > 0) throw refused(role, found, `${fixer.cli} ${fixer.extraArgs.join(" ")}`);
}

/** Refuses the program of a command agent. @throws TOOL_FORBIDDEN, AGENT_FILE_INVALID */
export function refuseAgentCommand(role: Role, command: readonly string[]): void {
  const found = forbiddenStarts(command, builtInDefinition(role));
  if (found.length > 0) throw refused(role, found, command.join(" "));
}
