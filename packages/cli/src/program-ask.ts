import { askId, eventName, phases, QuestbusError, roles } from "@questbus/protocol";
import { type Command, InvalidArgumentError, Option } from "commander";
import type { AskOptions } from "./command-ask.ts";
import { commonOf, durationOf, type Ended, phaseList, valid, withCommon } from "./option.ts";

/** `ask`: one question, for the role that is named or that its words choose. */
export function addAsk(program: Command, signal: AbortSignal, ended: Ended): void {
  const command = program
    .command("ask")
    .description("ask an agent of one role, outside any quest, and wait for its answer")
    .argument("[text]", "the question or task; it may name the role, as @qa");
  withAsked(withCommon(command))
    .addOption(new Option("--role <role>", "who is asked; chosen by the words by default").choices(roles))
    .option("--why", "say which words chose the role", false)
    .addOption(
      new Option("--id <ask>", "in place of a text: the answer of an ask that was pending, as it stands now")
        .argParser(valid(askId))
        .conflicts(["role", "why", "phases", "data", "wait"]),
    )
    .action(async (text: string | undefined, { wait, id, ...options }: Given) => {
      const { askRole, showAsk } = await import("./command-ask.ts");
      const common = commonOf(command, signal);
      if (text === undefined && id !== undefined) ended(showAsk(id, common));
      else if (text?.trim() && id === undefined)
        ended(await askRole(text, { ...options, waitMs: wait }, common));
      else throw textOrId();
    });
}

type Given = Omit<AskOptions, "waitMs"> & { wait: number | null; id?: string };

const textOrId = (): QuestbusError =>
  new QuestbusError({
    code: "USAGE",
    message: "ask takes a question, or the id of one that was asked",
    next: "write questbus ask TEXT, or questbus ask --id ID",
  });

/** What goes with every ask. */
const withAsked = (command: Command): Command =>
  command
    .addOption(
      new Option("--phases <list>", `what to do, of ${phases.join(",")}`)
        .argParser(phaseList)
        .default(["test"]),
    )
    .addOption(new Option("--data <json>", "what goes with it").argParser(jsonValue))
    .addOption(
      new Option("--wait <duration>", "stop waiting after that, as 30s: prints pending and its id, exit 1")
        .argParser(durationOf)
        .default(null, "until it is answered"),
    );

/** `activate`: an event, for every role that names it. */
export function addActivate(program: Command, signal: AbortSignal, ended: Ended): void {
  const command = program
    .command("activate")
    .description("ask every role that names an event (alert, slo-violation, deploy, schedule, forecast)")
    .argument("<event>", "what happened", valid(eventName))
    .argument("[text]", "in words");
  type Options = Omit<AskOptions, "waitMs"> & { wait: number | null };
  withAsked(withCommon(command)).action(
    async (event: string, text: string | undefined, { wait, phases: wanted, data }: Options) => {
      const { activateRoles } = await import("./command-ask.ts");
      const options = { phases: wanted, data, waitMs: wait };
      ended(await activateRoles(event, text, options, commonOf(command, signal)));
    },
  );
}

function jsonValue(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new InvalidArgumentError("write JSON");
  }
}
