import { agentName, type Principal, phases, principals, roles } from "@questbus/protocol";
import { type Command, Option } from "commander";
import type { CommandAgentOptions } from "./command-agent-run.ts";
import { commonOf, durationOf, type Ended, phaseList, valid, withCommon } from "./option.ts";

/** `agent add|list|revoke|run`: who may speak on the bus, and any program as one of them. */
export function addAgent(program: Command, signal: AbortSignal, ended: Ended): void {
  const agent = program.command("agent").description("agents of your own: let them in, list them, end them");
  const roleOption = (): Option =>
    new Option("--role <role>", "what it may do").choices(principals).makeOptionMandatory();
  const add = agent.command("add").description("make a credential, and print the path of its file");
  withCommon(add)
    .argument("<name>", "its name", valid(agentName))
    .addOption(roleOption())
    .action(async (name: string, { role }: { role: Principal }) => {
      const { addAgent } = await import("./command-agent.ts");
      ended(await addAgent({ role, name }, commonOf(add, signal)));
    });
  const list = agent.command("list").description("list who has a credential, and who is connected");
  withCommon(list).action(async () => {
    const { listCredentialed } = await import("./command-agent.ts");
    ended(await listCredentialed(commonOf(list, signal)));
  });
  const revoke = agent.command("revoke").description("end a credential: its connection is cut");
  withCommon(revoke)
    .argument("<name>", "its name", valid(agentName))
    .addOption(roleOption())
    .action(async (name: string, { role }: { role: Principal }) => {
      const { revokeAgent } = await import("./command-agent.ts");
      ended(await revokeAgent({ role, name }, commonOf(revoke, signal)));
    });
  const run = agent
    .command("run")
    .description("make any program an agent: it reads the brief, and prints its answer");
  withCommon(run)
    .argument("<command...>", "after --: the program and its arguments")
    .addOption(new Option("--role <role>", "whose work it does").choices(roles).makeOptionMandatory())
    .addOption(
      new Option("--name <name>", "as whom; made when there is none")
        .argParser(valid(agentName))
        .default("command"),
    )
    .option("--credential <file>", "as the holder of this credential instead")
    .addOption(
      new Option("--phases <list>", "when it is asked; the built-in agent does the others")
        .argParser(phaseList)
        .default([...phases]),
    )
    .addOption(
      new Option("--timeout <duration>", "for each of its answers")
        .argParser(durationOf)
        .default(240_000, "4m"),
    )
    .option("--env <name...>", "variables of yours that it sees, besides PATH, HOME and the like", [])
    .action(async (command: string[], options: Omit<CommandAgentOptions, "given">) => {
      const { runCommandAgent } = await import("./command-agent-run.ts");
      // A credential that was carried elsewhere has to be told where its stack's state is.
      const given = run.getOptionValueSource("state") === "cli";
      ended(await runCommandAgent(command, { ...options, given }, commonOf(run, signal)));
    });
}
