/**
 * Whether an edit of tests makes them ask for less: tests removed, skipped or narrowed, ended early, or with fewer
 * assertions. It reads text, not programs, so it errs towards saying nothing: the sealed tests are run anyway.
 */

/** A file before and after a change, as text; null: it was not there. */
export type FileEdit = { path: string; before: string | null; after: string | null };

/** What an edit weakens; `line` in the file as it is now, null where it is gone. */
export type Weakening = { path: string; line: number | null; what: string };

const data =
  /(^|\/)(__snapshots__|snapshots|fixtures|__fixtures__|testdata|data)\/|\.(snap|json|ya?ml|toml|txt|md|csv|html?|xml|png|jpe?g|gif|svg|bin|gz|zip|lock)$/i;
const hashComments = /\.(py|rb|sh|bash|bats|pl|yml|yaml|exs?)$/i;

const skips =
  /\b(?:it|test|describe|suite|context|bench)\s*(?:\.\w+)*\.(?:skip|only|todo|skipIf|runIf|fails)\b|(?<![.\w])(?:xit|xtest|xdescribe|xcontext|fit|fdescribe|ftest)\s*[(.`]|\bthis\.skip\s*\(|\bt\.(?:skip|todo|Skip|Skipf|SkipNow)\s*\(|\b(?:skip|todo|only)\s*:\s*(?:true\b|process\b|["'`])|\bpytest\.(?:mark\.(?:skip|skipif|xfail)|skip|xfail)\b|\bunittest\.(?:skip\w*|expectedFailure)\b|\bself\.skipTest\s*\(|#\[ignore\b|@(?:Disabled|Ignore)\b/g;
const exits =
  /\bprocess\s*\.\s*(?:exit|reallyExit)\s*\(\s*0?\s*\)|\bprocess\.exitCode\s*=\s*0\b|(?<![.\w])(?:sys\.exit|os\._exit|os\.Exit|exit|quit)\s*\(\s*0?\s*\)|(?:^|[;&|{]|\bthen|\bdo)[ \t]*exit(?:[ \t]+0)?[ \t]*(?=$|[;&|}])/gm;
const assertions =
  /\bassert\w*(?:\.\w+)*!?\s*\(|^[ \t]*assert[ \t]+\S|\bexpect\w*\s*[({]|\.should\b|\bt\.(?!(?:test|plan|end|teardown|context|log|Log|Logf|Run|Helper|Parallel|skip|Skip|Skipf|SkipNow|todo|only|comment|pass|Cleanup|before|after|beforeEach|afterEach|mock|name|Name|Setenv|TempDir)\b)\w+\s*\(|\brequire\.\w+\s*\(\s*t\b|\bpytest\.raises\s*\(/gm;
/** Assertions that hold whatever the program does. */
const empty =
  /\bassert(?:\.(?:ok|equal|strictEqual|isTrue))?\s*\(\s*(?:true|1|"[^"]*"|'[^']*')\s*[,)]|\bassert\.\w+\(\s*([\w"']+)\s*,\s*\1\s*[,)]|\bexpect\(\s*([\w"']+)\s*\)\.(?:toBe|toEqual)\(\s*\2\s*\)|^[ \t]*assert[ \t]+True\b|\bexpect\(\s*true\s*\)/gm;

/** The text with comments blanked out; lines stay where they are. */
function withoutComments({ path }: FileEdit, text: string): string {
  const blank = (found: string): string => found.replace(/[^\n]/g, " ");
  if (hashComments.test(path))
    return text.replace(/"""[\s\S]*?"""|'''[\s\S]*?'''|(?<=^|\s)#(?!\[)[^\n]*/gm, blank);
  const pieces = /"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|\/\*[\s\S]*?\*\/|\/\/[^\n]*/g;
  return text.replace(pieces, (found) => (found.startsWith("/") ? blank(found) : found));
}

const count = (text: string, form: RegExp): number => [...text.matchAll(form)].length;
const asked = (text: string): number => Math.max(0, count(text, assertions) - count(text, empty));

/** The first line of `after` that matches and is not in `before`, from 1. */
function firstNew(before: string, after: string, form: RegExp): number | null {
  const known = new Set(before.split("\n").map((line) => line.trim()));
  const lines = after.split("\n");
  const at = lines.findIndex((line) => !known.has(line.trim()) && count(line, form) > 0);
  return at < 0 ? null : at + 1;
}

type Read = FileEdit & { was: string; is: string; gained: number };

function read(edit: FileEdit): Read {
  const was = edit.before === null ? "" : withoutComments(edit, edit.before);
  const is = edit.after === null ? "" : withoutComments(edit, edit.after);
  return { ...edit, was, is, gained: asked(is) - asked(was) };
}

const nameOf = (path: string): string => path.slice(path.lastIndexOf("/") + 1);

function switchedOff({ path, was, is, after }: Read): Weakening[] {
  const forms = [
    [skips, "skips or narrows tests that ran before"],
    [exits, "ends the tests before they are through"],
  ] as const;
  if (after === null) return [];
  return forms.flatMap(([form, what]) =>
    count(is, form) > count(was, form) ? [{ path, line: firstNew(was, is, form), what }] : [],
  );
}

/**
 * What a change weakens of the tests that stood before it. Assertions that another changed or added test file gained
 * count as moved there.
 * @param edits every test file that the change edits, removes or adds
 */
export function weakenings(edits: readonly FileEdit[]): Weakening[] {
  const files = edits.filter(({ path }) => !data.test(path)).map(read);
  const sum = (list: readonly Read[]): number => list.reduce((total, each) => total + each.gained, 0);
  const standing = files.filter((each) => each.before !== null);
  const lost = standing.filter((each) => each.gained < 0);
  const allMoved = sum(files.filter((each) => each.gained > 0)) + sum(lost) >= 0;
  const added = new Set(files.filter((each) => each.before === null).map(({ path }) => nameOf(path)));
  return standing.flatMap((file): Weakening[] => {
    const { path, gained, was, is, after } = file;
    const fewer = gained < 0 && !allMoved;
    if (after === null) {
      const isMoved = gained < 0 ? allMoved : added.has(nameOf(path));
      return isMoved ? [] : [{ path, line: null, what: "removes tests that another file does not get" }];
    }
    const left = `has ${asked(is)} assertions where there were ${asked(was)}, and no other test file gets them`;
    return [...switchedOff(file), ...(fewer ? [{ path, line: null, what: left }] : [])];
  });
}
