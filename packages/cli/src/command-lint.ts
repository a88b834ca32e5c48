import { globSync, readFileSync, statSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { lintDefinition } from "@questbus/agent";
import { exitCode, type Fault, QuestbusError } from "@questbus/protocol";
import { printData, printJson, textLines } from "./output.ts";
import { type Finding, sarif } from "./sarif.ts";

export type LintFormat = "text" | "json" | "sarif";

/** `questbus agents lint`: the agent files of folders, or single ones. 0: no errors, 1: errors, 2: nothing to read. */
export function lintAgents(paths: readonly string[], format: LintFormat): number {
  const files = [...new Set((paths.length > 0 ? paths : ["."]).flatMap(agentFiles))];
  const findings = files.flatMap(findingsIn);
  const errors = findings.filter(({ level }) => level === "error").length;
  if (format === "json") printJson({ files, findings });
  else if (format === "sarif") printJson(sarif(findings), 2);
  else {
    for (const finding of findings) printData(...linesOf(finding));
    printData(
      `${files.length} ${files.length === 1 ? "file" : "files"}: ${counted(errors, findings.length)}`,
    );
  }
  return errors > 0 ? exitCode.failure : exitCode.ok;
}

const counted = (errors: number, all: number): string =>
  all === 0
    ? "nothing is wrong"
    : `${errors} ${errors === 1 ? "error" : "errors"}, ${all - errors} ${all - errors === 1 ? "warning" : "warnings"}`;

const linesOf = ({ level, where, message, next }: Finding): string[] => [
  ...textLines(`${where}: ${level}: ${message}`),
  ...(next ? [`  next: ${next}`] : []),
];

const nameFromHere = (path: string): string => relative(process.cwd(), path) || path;

/** The file itself, or every AGENT.md below a folder. */
function agentFiles(path: string): string[] {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found?.isFile()) return [nameFromHere(resolve(path))];
  const files = found?.isDirectory()
    ? globSync("**/AGENT.md", { cwd: path, exclude: (name) => name === "node_modules" || name === ".git" })
    : [];
  if (files.length > 0) return files.sort().map((file) => nameFromHere(resolve(join(path, file))));
  throw new QuestbusError({
    code: "USAGE",
    message: found ? `there is no AGENT.md below ${path}` : `there is no ${path}`,
    where: path,
    next: "name agent files, or folders with files called AGENT.md",
  });
}

function textOfFile(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw new QuestbusError({
      code: "FILE_UNUSABLE",
      message: `the file cannot be read: ${(error as NodeJS.ErrnoException).code ?? "unknown"}`,
      where: file,
      next: "name another file",
    });
  }
}

function findingsIn(file: string): Finding[] {
  const { errors, warnings } = lintDefinition(textOfFile(file), { file, place: resolve(file) });
  const placed =
    (level: Finding["level"]) =>
    (fault: Fault): Finding => {
      const [, line, column] = /:(\d+):(\d+)$/.exec(fault.where ?? "") ?? [];
      return { ...fault, level, file, line: Number(line ?? 1), column: Number(column ?? 1) };
    };
  const inOrder = (one: Finding, other: Finding): number =>
    one.line - other.line || one.column - other.column;
  return [...errors.map(placed("error")), ...warnings.map(placed("warning"))].sort(inOrder);
}
