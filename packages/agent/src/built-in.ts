import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { Role } from "@questbus/protocol";
import { onDisk } from "@questbus/workbench";
import type { Behaviour } from "./behaviour.ts";
import { type AgentDefinition, loadDefinition, loadDefinitions } from "./definition.ts";

/** What the product itself does in a role: the definition, and the behaviour beside it. */
export type BuiltIn = { definition: AgentDefinition; behaviour: Behaviour };

const agents = fileURLToPath(new URL("../../../agents/", import.meta.url));

export const builtInDefinitions = (): AgentDefinition[] => loadDefinitions(agents);
export const builtInDefinition = (role: Role): AgentDefinition => loadDefinition(agents, role);

export async function loadBuiltIn(role: Role): Promise<BuiltIn> {
  const definition = builtInDefinition(role);
  const module = (await import(pathToFileURL(join(agents, role, "behaviour.ts")).href)) as {
    behaviour: Behaviour;
  };
  const { test, fix, validate } = module.behaviour;
  return { definition, behaviour: { test: onDisks(test), fix: onDisks(fix), validate: onDisks(validate) } };
}

/** Wherever a task writes, a full disk is the machine's, and no word on the candidate. */
const onDisks =
  (phase: Behaviour["test"]): Behaviour["test"] =>
  (context) =>
    onDisk(context.stateDir, () => phase(context));
