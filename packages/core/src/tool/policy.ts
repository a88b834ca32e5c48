import type { CliName } from "@questbus/protocol";
import { programsOf } from "./command-line.ts";

/** What the agent of a role may use: programs by name (`*`: any), and tools by the names that coding agents give them. */
export type ToolPolicy = { commands: readonly string[]; tools: readonly string[] };

/** Programs of a command line that a role may not start. */
export const forbiddenPrograms = (line: string, { commands }: ToolPolicy): string[] =>
  commands.includes("*") ? [] : programsOf(line).filter((name) => !commands.includes(name));

/** Arguments that give a coding CLI more than its role has: no questions asked, no sandbox of its own, other servers. */
const wider: Record<CliName, RegExp> = {
  claude:
    /^--(?:dangerously-skip-permissions|allow-dangerously-skip-permissions|mcp-config|settings|setting-sources|plugin-dir)(?:=|$)|^--permission-mode=(?!acceptEdits$|plan$|default$)/,
  codex:
    /^--(?:dangerously-bypass-approvals-and-sandbox|yolo|add-dir)(?:=|$)|^(?:-s|--sandbox)=danger-full-access$|^(?:-c|--config)=(?:mcp_servers|sandbox|approval_policy|shell_environment_policy|notify)/,
  gemini:
    /^(?:-y|--yolo)(?:=|$)|^--approval-mode=yolo$|^--allowed-mcp-server-names(?:=|$)|^(?:-e|--extensions)(?:=|$)/,
  aider: /^--(?:auto-commits?|commit|dirty-commits|suggest-shell-commands|load|config|env-file)(?:=|$)/,
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

/** Of the arguments that a quest gives a coding CLI, those that a role may not be given. */
export function forbiddenArguments(cli: CliName, args: readonly string[], { tools }: ToolPolicy): string[] {
  return optionsOf(args).filter((option) => {
    if (wider[cli].test(option)) return true;
    const [, named] = namesTools.exec(option) ?? [];
    const wanted = (named ?? "").replaceAll(/\([^)]*\)/g, "").split(/[\s,]+/);
    return wanted.some((tool) => tool !== "" && !tools.includes(knownAs[tool] ?? tool));
  });
}
