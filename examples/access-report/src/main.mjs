import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { render, summarise } from "./report.mjs";

const usage = "usage: access-report [--json] FILE";

/** Runs the command line; returns the exit code: 0 done, 1 the file cannot be read, 2 wrong usage. */
export function main(args, stdout, stderr) {
  let options;
  try {
    options = parseArgs({ args, allowPositionals: true, options: { json: { type: "boolean" } } });
  } catch (error) {
    stderr.write(`access-report: ${error.message}\n${usage}\n`);
    return 2;
  }
  const [file, ...more] = options.positionals;
  if (!file || more.length > 0) {
    stderr.write(`${usage}\n`);
    return 2;
  }
  let text;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    stderr.write(`access-report: cannot read ${file}: ${error.code ?? error.message}\n`);
    return 1;
  }
  const summary = summarise(text);
  stdout.write(options.values.json ? `${JSON.stringify(summary, null, 2)}\n` : render(summary));
  return 0;
}
