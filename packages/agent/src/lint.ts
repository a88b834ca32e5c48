import { basename, dirname } from "node:path";
import { type Fault, faultsOf } from "@questbus/protocol";
import { inspectKeys, parseDefinition } from "./definition.ts";

/** What is wrong with one agent file: errors keep it from being used, warnings may be meant for another program. */
export type Lint = { errors: readonly Fault[]; warnings: readonly Fault[] };

/** The name that the file's place gives its agent: its folder for an AGENT.md, else its own stem. */
const nameOf = (file: string): string =>
  basename(file) === "AGENT.md" ? basename(dirname(file)) : basename(file).replace(/\.md$/, "");

/** Reads one agent file; every fault has file:line:column. `place` is its absolute path, `file` what it is called. */
export function lintDefinition(text: string, { file, place }: { file: string; place: string }): Lint {
  let warnings: readonly Fault[] = [];
  try {
    const keys = inspectKeys(text, file);
    warnings = keys.warnings;
    const { name } = parseDefinition(text, file);
    const wanted = nameOf(place);
    if (name === wanted) return { errors: [], warnings };
    const misnamed: Fault = {
      code: "AGENT_FILE_INVALID",
      message: `the agent is called ${name}, but its file ${wanted}`,
      where: keys.nameAt ?? `${file}:1:1`,
      next: "give both the same name: other programs find an agent by it",
    };
    return { errors: [misnamed], warnings };
  } catch (error) {
    return { errors: faultsOf(error), warnings };
  }
}
