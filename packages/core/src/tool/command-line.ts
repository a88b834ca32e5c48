/**
 * What a command line starts, read from its text. A form, not a proof: a script can start anything, and what it can do
 * then is the sandbox's matter.
 */

/** Words that stand before the program that a simple command starts. */
const before = new Set(
  "! { } if then else elif fi do done while until time exec command env nice nohup".split(" "),
);

/** The simple commands of one line of text, each as its words; what is in quotes is one word. */
function commandsIn(line: string): string[][] {
  const words = line.match(/(?:"(?:\\.|[^"\\])*"|'[^']*'|\\.|[^\s;&|()<>"'`\\])+|[;&|()`]|[<>]+/g) ?? [];
  const commands: string[][] = [[]];
  for (const word of words) {
    if (/^[;&|()`]$/.test(word)) commands.push([]);
    else commands.at(-1)?.push(word.replaceAll(/["'\\]/g, ""));
  }
  return commands.filter((each) => each.length > 0);
}

/** A new line ends a command to a shell. */
const simple = (line: string): string[][] =>
  line.split("\n").flatMap((each) =>
    commandsIn(each).flatMap((words) => {
      const at = words.findIndex((word) => !before.has(word) && !/^\w+=/.test(word));
      return at < 0 ? [] : [words.slice(at)];
    }),
  );

const nameOf = (program: string): string => program.slice(program.lastIndexOf("/") + 1);

/** The programs that a command line starts, by their names, each once. */
export const programsOf = (line: string): string[] => [
  ...new Set(simple(line).map(([program = ""]) => nameOf(program))),
];

/** What git writes besides files of the tree: history, refs, settings, remotes. */
const writes = new Set(
  "commit push tag branch merge rebase cherry-pick revert am config remote submodule worktree update-ref symbolic-ref replace notes filter-branch fast-import fetch pull init hook maintenance gc".split(
    " ",
  ),
);

/** The words by which git is asked to write, as `git commit`; null: it is not. */
export function gitWriteIn(line: string): string | null {
  for (const [program = "", ...words] of simple(line)) {
    if (nameOf(program) !== "git") continue;
    const verb = words.find((word, at) => !word.startsWith("-") && !/^-[Cc]$/.test(words[at - 1] ?? ""));
    if (verb && writes.has(verb)) return `git ${verb}`;
  }
  return null;
}
