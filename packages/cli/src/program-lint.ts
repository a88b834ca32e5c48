import { type Command, Option } from "commander";
import type { LintFormat } from "./command-lint.ts";
import type { Ended } from "./option.ts";

const formats = ["text", "json", "sarif"] satisfies LintFormat[];

/** `agents lint`, below the command `agents`. */
export function addLint(agents: Command, ended: Ended): void {
  agents
    .command("lint")
    .description("check agent files: exit 0 without errors, 1 with some")
    .argument("[path...]", "files, or folders with files called AGENT.md (default: here)")
    .addOption(new Option("--format <format>", "how to print what is found").choices(formats).default("text"))
    .action(async (paths: string[], { format }: { format: LintFormat }) => {
      const { lintAgents } = await import("./command-lint.ts");
      ended(lintAgents(paths, format));
    });
}
