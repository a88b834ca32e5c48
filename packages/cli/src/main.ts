import { exitCode, QuestbusError } from "@questbus/protocol";
import { type Command, CommanderError } from "commander";
import { stateDirDefault } from "./option.ts";
import { letReadersLeave, printError, printFaults } from "./output.ts";
import { buildProgram, commandIn, withState } from "./program.ts";

const supported = ["linux-x64", "linux-arm64", "darwin-x64", "darwin-arm64"];

/** Runs one command line and gives its exit code. */
async function run(): Promise<number> {
  const interrupted = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => interrupted.abort());
  const json = process.argv.includes("--json");
  let exit: number = exitCode.ok;
  const ended = (code: number): void => {
    exit = code;
  };
  const program = buildProgram(interrupted.signal, ended, json);
  let state = stateDirDefault;
  program.hook("preAction", (_, action) => {
    state = stateNamed(action);
  });
  try {
    if (!supported.includes(`${process.platform}-${process.arch}`)) {
      const message = `Questbus runs on ${supported.join(", ")}; this is ${process.platform}-${process.arch}`;
      throw new QuestbusError({
        code: "PLATFORM_UNSUPPORTED",
        message,
        next: "use one of these, or a container with Linux",
      });
    }
    await program.parseAsync();
    return interrupted.signal.aborted ? exitCode.interrupted : exit;
  } catch (error) {
    if (error instanceof CommanderError) return usage(error, program, json);
    if (interrupted.signal.aborted) return exitCode.interrupted;
    return printError(error, json, (next) => withState(next, program, state));
  }
}

/** The nearest one: `audit --state DIR verify` names it, too. */
function stateNamed(command: Command): string {
  if (command.getOptionValueSource("state") === "cli") return String(command.getOptionValue("state"));
  return command.parent ? stateNamed(command.parent) : stateDirDefault;
}

/** What commander did not understand, in the form of every error. Where no command was named, its help stands above. */
function usage(error: CommanderError, program: Command, json: boolean): number {
  if (error.exitCode === 0) return exitCode.ok;
  const [said = "", meant] = error.message.replace(/^error: /, "").split(/\s*\(Did you mean (.+)\?\)/);
  const message = error.code === "commander.help" ? "a command is missing" : sentence(said);
  const { path } = commandIn(program, process.argv.slice(2));
  const help = `see ${["questbus help", ...path].join(" ")}`;
  printFaults([{ code: "USAGE", message, next: meant ? `did you mean ${meant}? Else ${help}` : help }], json);
  return exitCode.usage;
}

/** What commander says of a value in two halves, as one sentence. */
const sentence = (said: string): string =>
  said
    .replace(/^option '(.+?)' argument '(.*)' is invalid\. /s, "'$2' cannot be the value of '$1': ")
    .replace(
      /^command-argument value '(.*)' is invalid for argument '(.+?)'\. /s,
      "'$1' cannot be the argument '$2': ",
    )
    .replace(/: Allowed choices are (.+)\.$/, ": write one of $1");

letReadersLeave();
// What nobody awaited ends the program too, and is told as every other error is.
process.on("uncaughtException", (error) => process.exit(printError(error, process.argv.includes("--json"))));
process.exitCode = await run();
