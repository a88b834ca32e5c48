import type { CliName } from "@questbus/protocol";
import { programsOf, programsOfWords } from "./command-line.ts";

/** What the agent of a role may use: programs by name (`*`: any), and tools by the names that coding agents give them. */
export type ToolPolicy = { commands: readonly string[]; tools: readonly string[] };

const notIn = (names: readonly string[], { commands }: ToolPolicy): string[] =>
  commands.includes("*") ? [] : names.filter((name) => !commands.includes(name));

/** Programs of a command line that a role may not start. */
export const forbiddenPrograms = (line: string, policy: ToolPolicy): string[] =>
  notIn(programsOf(line), policy);

/** Programs that a role may not start, of one that is started with its arguments and without a shell. */
export const forbiddenStarts = (words: readonly string[], policy: ToolPolicy): string[] =>
  notIn(programsOfWords(words), policy);

/**
 * Arguments that give a coding CLI more than its role has: no questions asked, no sandbox of its own, other folders, programs,
 * servers, settings. Of aider by how they begin, as it takes them shortened.
 */
const wider: Record<CliName, RegExp> = {
  claude:
    /^--(?:dangerously-skip-permissions|allow-dangerously-skip-permissions|mcp-config|settings|setting-sources|plugin-dir|add-dir|agents|permission-prompt-tool)(?:=|$)|^--permission-mode=(?!acceptEdits$|plan$|default$)/,
  codex:
    /^--(?:dangerously-bypass-approvals-and-sandbox|yolo|add-dir|ask-for-approval|profile|cd|search)(?:=|$)|^-[apC](?:=|$)|^(?:-s|--sandbox)=danger-full-access$|^(?:-c|--config)=(?:mcp_servers|sandbox|approval_policy|shell_environment_policy|notify|profile|projects|tools)/,
  gemini:
    /^(?:-y|--yolo)(?:=|$)|^--approval-mode=yolo$|^--(?:allowed-mcp-server-names|include-directories|no-sandbox|sandbox-image|policy)(?:=|$)|^(?:-s|--sandbox)=(?!true$)|^(?:-e|--extensions)(?:=|$)/,
  aider:
    /^--(?:auto-c|auto-t|commit|dirty|suggest-sh|load|conf|env|set-env|test|lint|install|upgrade|update)|^-c(?:=|$)/,
};

/** Options that name tools, and what the tools of other CLIs are called in AGENT.md. */
const namesTools = /^--(?:allowedTools|allowed-tools|tools)=(.*)$/s;
const knownAs: Readonly<Record<string, string>> = {
  run_shell_command: "Bash",
  ShellTool: "Bash",
  write_file: "Write",
  replace: "Edit",
  read_file: "Read",
  glob: "Glob",
  search_file_content: "Grep",
};

/** Each option with its values, as `--name=value value`, however they were written. */
function optionsOf(args: readonly string[]): string[] {
  const options: string[] = [];
  for (const arg of args) {
    const last = options.length - 1;
    if (arg.startsWith("-") || last < 0) options.push(arg.replace(/^(-[a-z])=?(?=.)/is, "$1="));
    else options[last] += `${options[last]?.includes("=") ? " " : "="}${arg}`;
  }
  return options;
}

/** As gemini takes it as well: `--approvalMode=yolo`. */
const hyphened = (option: string): string =>
  option.replace(/^--[A-Za-z-]*/, (name) =>
    name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`),
  );

/** Of the arguments that a quest gives a coding CLI, those that a role may not be given. */
export function forbiddenArguments(cli: CliName, args: readonly string[], { tools }: ToolPolicy): string[] {
  return optionsOf(args).filter((option) => {
    if (wider[cli].test(cli === "gemini" ? hyphened(option) : option)) return true;
    const [, named] = namesTools.exec(option) ?? [];
    const wanted = (named ?? "").replaceAll(/\([^)]*\)/g, "").split(/[\s,]+/);
    return wanted.some((tool) => tool !== "" && !tools.includes(knownAs[tool] ?? tool));
  });
}
