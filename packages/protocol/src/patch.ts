import { type ErrorCode, QuestbusError } from "./error.ts";
import { forbiddenModes, pathProblem } from "./path-rule.ts";

/**
 * Reads a unified diff, in git's form or plain `diff -u`, without applying it. Pure. What is refused here never reaches
 * git; what passes is checked again on the tree that git makes of it (see candidate.ts).
 *
 * The reader walks line by line through three states: between files, in a file's header, in a hunk. A hunk is counted
 * out by its own header, so a removed line `-- a/x` cannot pass for the header `--- a/x`.
 */
type Reader = {
  readonly name: string;
  readonly lines: readonly string[];
  at: number;
  readonly files: Set<string>;
  /** Hunks with changes, new and deleted files, modes, renames, binary content. */
  changes: number;
  headers: number;
};

/**
 * The paths that a patch touches, sorted; both of a rename.
 * @param text the patch; give bytes when it may hold other text than UTF-8.
 * @param of.name what the faults call it: `where` is `<name>:<line>`.
 * @throws PATCH_EMPTY, PATCH_INVALID, PATH_ESCAPES (absolute, `..`, under .git), PATH_FORBIDDEN (symbolic links,
 * submodules, .gitmodules)
 */
export function inspectPatch(text: string | Buffer, of: { name: string }): { files: string[] } {
  const bytes = typeof text === "string" ? Buffer.from(text) : text;
  const lines = bytes.toString("latin1").split("\n");
  const reader: Reader = { name: of.name, lines, at: 0, files: new Set(), changes: 0, headers: 0 };
  while (reader.at < lines.length) readFile(reader);
  if (reader.changes > 0) return { files: [...reader.files].sort() };
  const blank = lines.every((line) => line.trim() === "");
  if (reader.headers === 0 && !blank) throw refusal(reader, "PATCH_INVALID", "this is not a unified diff", 0);
  throw refusal(reader, "PATCH_EMPTY", "the patch changes nothing", 0);
}

/** Reads one line between files, or a whole file when one begins here. */
function readFile(reader: Reader): void {
  const line = header(reader);
  if (line.startsWith("diff --git ")) readGitFile(reader);
  else if (startsPlainFile(reader)) readPlainFile(reader);
  else if (line.startsWith("@@ -")) throw refusal(reader, "PATCH_INVALID", "a hunk without a file");
  else reader.at += 1;
}

const startsPlainFile = (reader: Reader): boolean =>
  header(reader).startsWith("--- ") &&
  header(reader, 1).startsWith("+++ ") &&
  header(reader, 2).startsWith("@@ -");

function readGitFile(reader: Reader): void {
  const begin = reader.at;
  const named = headerNames(header(reader).slice("diff --git ".length));
  for (const each of named) note(reader, each);
  reader.headers += 1;
  reader.at += 1;
  const found = named.length + readExtendedLines(reader);
  if (found === 0) throw refusal(reader, "PATCH_INVALID", "the file has no name", begin);
  if (header(reader) === "GIT binary patch") readBinary(reader);
  else readHunks(reader);
}

/** Reads the rest of a git header; answers with the number of names in it. */
function readExtendedLines(reader: Reader): number {
  let found = 0;
  for (; reader.at < reader.lines.length; reader.at += 1) {
    const kind = readExtended(reader, header(reader));
    if (kind === "other") break;
    if (kind === "name") found += 1;
  }
  return found;
}

const extended =
  /^(old mode|new mode|new file mode|deleted file mode|index|rename from|rename to|copy from|copy to|rename old|rename new|similarity index|dissimilarity index|---|\+\+\+) (.*)$/;

/** Reads one line of a git header; says whether it named a path, or is no header line at all. */
function readExtended(reader: Reader, line: string): "name" | "mode" | "other" {
  if (/^Binary files .* differ$/.test(line)) {
    throw refusal(
      reader,
      "PATCH_INVALID",
      "the patch leaves out the content of a binary file",
      reader.at,
      "make it with `git diff --binary`",
    );
  }
  const [, key = "", value = ""] = extended.exec(line) ?? [];
  if (key === "") return "other";
  if (/^(rename|copy) /.test(key)) {
    reader.changes += 1;
    note(reader, unquote(reader, value));
    return "name";
  }
  if (key === "---" || key === "+++") return notePlain(reader, value, 1) ? "name" : "mode";
  const mode = key === "index" ? / (\d+)$/.exec(value)?.[1] : key.endsWith("mode") ? value : undefined;
  if (mode !== undefined) checkMode(reader, mode);
  if (key.endsWith("mode")) reader.changes += 1;
  return "mode";
}

function checkMode(reader: Reader, mode: string): void {
  const what = forbiddenModes[mode];
  if (what)
    throw refusal(
      reader,
      "PATH_FORBIDDEN",
      `the patch touches ${what}`,
      reader.at,
      "change plain files only",
    );
  if (!/^100(644|755|664)$/.test(mode))
    throw refusal(reader, "PATCH_INVALID", `${mode || "nothing"} is not a mode of a file`);
}

function readPlainFile(reader: Reader): void {
  const names = [header(reader).slice(4), header(reader, 1).slice(4)];
  // git apply's own guess: names without a slash are taken whole, others lose their first part
  const paths = names.map((each) => plainPath(reader, each)).filter((each) => each !== "/dev/null");
  const strip = paths.every((each) => !each.includes("/")) ? 0 : 1;
  reader.headers += 1;
  for (const each of names) {
    notePlain(reader, each, strip);
    reader.at += 1;
  }
  readHunks(reader);
}

function readHunks(reader: Reader): void {
  while (header(reader).startsWith("@@ -")) readHunk(reader);
}

function readHunk(reader: Reader): void {
  const begin = reader.at;
  const match = /^@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@/.exec(header(reader));
  if (!match) throw refusal(reader, "PATCH_INVALID", "not a hunk header");
  let old = Number(match[1] ?? 1);
  let now = Number(match[2] ?? 1);
  let changed = 0;
  for (reader.at += 1; old > 0 || now > 0; reader.at += 1) {
    const mark = reader.lines[reader.at]?.[0];
    if (reader.at >= reader.lines.length - 1 && mark === undefined) {
      throw refusal(
        reader,
        "PATCH_INVALID",
        "the patch ends inside a hunk",
        begin,
        "make the patch anew; it was cut off",
      );
    }
    if (mark === "+" || mark === "-") changed += 1;
    if (mark === "+") now -= 1;
    else if (mark === "-") old -= 1;
    else if (mark === " " || mark === undefined || mark === "\r") {
      old -= 1;
      now -= 1;
    } else if (mark !== "\\") throw refusal(reader, "PATCH_INVALID", "not a line of a hunk");
    if (old < 0 || now < 0) throw refusal(reader, "PATCH_INVALID", "the hunk is longer than its header says");
  }
  while (reader.lines[reader.at]?.startsWith("\\")) reader.at += 1;
  if (changed > 0) reader.changes += 1;
}

/** Skips the content of a binary file; its lines hold no spaces, so the next header ends it. */
function readBinary(reader: Reader): void {
  reader.changes += 1;
  reader.at += 1;
  while (reader.at < reader.lines.length && !header(reader).startsWith("diff --git ")) reader.at += 1;
}

/** A line outside hunks, without the carriage return that some mailers add. */
const header = (reader: Reader, ahead = 0): string =>
  (reader.lines[reader.at + ahead] ?? "").replace(/\r$/, "");

/** The two names of `diff --git`, without their first part; none when they cannot be told apart (renames say more). */
function headerNames(text: string): string[] {
  const quoted = /^("(?:[^"\\]|\\.)*"|\S+) ("(?:[^"\\]|\\.)*"|\S+)$/.exec(text);
  if (quoted)
    return [quoted[1] as string, quoted[2] as string].map((each) => stripFirst(unquoteName(each) ?? each));
  const half = (text.length - 1) / 2;
  const [left, right] = [text.slice(0, half), text.slice(half + 1)];
  return Number.isInteger(half) && stripFirst(left) === stripFirst(right)
    ? [stripFirst(left), stripFirst(right)]
    : [];
}

const stripFirst = (path: string): string =>
  path.startsWith("/") ? path : path.slice(path.indexOf("/") + 1);

/** Notes the path of a `---` or `+++` line; false for /dev/null, which is no path. */
function notePlain(reader: Reader, value: string, strip: 0 | 1): boolean {
  const path = plainPath(reader, value);
  if (path === "/dev/null") return false;
  note(reader, strip === 1 ? stripFirst(path) : path);
  return true;
}

/** The path of a `---` or `+++` line, without the time that follows it. */
function plainPath(reader: Reader, value: string): string {
  if (value.startsWith('"')) return unquote(reader, value.replace(/"[^"]*$/, '"'));
  const [path = ""] = value.split("\t");
  return path.replace(/ \d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?( [-+]\d{4})?$/, "");
}

function note(reader: Reader, latin: string): void {
  const path = Buffer.from(latin, "latin1").toString("utf8");
  if (path === "" || path.includes("\0"))
    throw refusal(reader, "PATCH_INVALID", "a path is empty or holds a NUL");
  const problem = pathProblem(path);
  if (problem)
    throw refusal(reader, problem.code, problem.message, reader.at, "leave that path out of the patch");
  reader.files.add(path);
}

function unquote(reader: Reader, text: string): string {
  const name = unquoteName(text);
  if (name === null) throw refusal(reader, "PATCH_INVALID", "the quotes of a path do not end");
  return name;
}

const escapes: Record<string, string> = {
  a: "\x07",
  b: "\b",
  t: "\t",
  n: "\n",
  v: "\v",
  f: "\f",
  r: "\r",
  '"': '"',
  "\\": "\\",
};

/** A path as git quotes it (C style, bytes in octal) or plain; null when its quotes are wrong. */
function unquoteName(text: string): string | null {
  if (!text.startsWith('"')) return text;
  const inner = /^"((?:[^"\\]|\\[abtnvfr"\\]|\\[0-3][0-7]{2})*)"$/.exec(text)?.[1];
  if (inner === undefined) return null;
  return inner.replace(/\\(?:([0-7]{3})|(.))/g, (_, octal: string | undefined, letter: string) =>
    octal ? String.fromCharCode(Number.parseInt(octal, 8)) : (escapes[letter] ?? letter),
  );
}

function refusal(
  reader: Reader,
  code: ErrorCode,
  message: string,
  at = reader.at,
  next?: string,
): QuestbusError {
  return new QuestbusError({
    code,
    message,
    where: `${reader.name}:${at + 1}`,
    next: next ?? "make the patch anew with `git diff`",
  });
}
