import { agentName, type Principal, principals } from "@questbus/protocol";
import { type Command, Option } from "commander";
import { commonOf, type Ended, valid, withCommon } from "./option.ts";

/** `agent add|list|revoke`: who may speak on the bus. */
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
}
