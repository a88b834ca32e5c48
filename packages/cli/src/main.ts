import { exitCode, QuestbusError } from "@questbus/protocol";
import { CommanderError } from "commander";
import { printError, printFaults } from "./output.ts";
import { buildProgram } from "./program.ts";

const supported = ["linux-x64", "linux-arm64", "darwin-x64", "darwin-arm64"];

/** Runs one command line and gives its exit code. */
async function run(): Promise<number> {
  const interrupted = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => interrupted.abort());
  const json = process.argv.includes("--json");
  let exit: number = exitCode.ok;
  try {
    if (!supported.includes(`${process.platform}-${process.arch}`)) {
      const message = `Questbus runs on ${supported.join(", ")}; this is ${process.platform}-${process.arch}`;
      throw new QuestbusError({
        code: "PLATFORM_UNSUPPORTED",
        message,
        next: "use one of these, or a container with Linux",
      });
    }
    const program = buildProgram(
      interrupted.signal,
      (code) => {
        exit = code;
      },
      json,
    );
    await program.parseAsync();
    return interrupted.signal.aborted ? exitCode.interrupted : exit;
  } catch (error) {
    if (error instanceof CommanderError) return usage(error, json);
    if (interrupted.signal.aborted) return exitCode.interrupted;
    return printError(error, json);
  }
}

/** Commander has told people already what was wrong; programs are told here. */
function usage(error: CommanderError, json: boolean): number {
  if (error.exitCode === 0) return exitCode.ok;
  const message = error.message.replace(/^error: /, "");
  if (json) printFaults([{ code: "USAGE", message, next: "questbus --help" }], json);
  return exitCode.usage;
}

// A reader that has seen enough (`| head`) is no fault: what it does not read is not written.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit(exitCode.ok);
});
process.stderr.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
});

process.exitCode = await run();
