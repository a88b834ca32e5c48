import { exitCode, QuestbusError } from "@questbus/protocol";
import { CommanderError } from "commander";
import { printError } from "./output.ts";
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
    const program = buildProgram(interrupted.signal, (code) => {
      exit = code;
    });
    await program.parseAsync();
    return interrupted.signal.aborted ? exitCode.interrupted : exit;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCode.ok : exitCode.usage;
    if (interrupted.signal.aborted) return exitCode.interrupted;
    return printError(error, json);
  }
}

process.exitCode = await run();
