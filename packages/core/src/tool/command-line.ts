/**
 * What a command line starts, read from its text. A form, not a proof: a script can start anything, and what it can do
 * then is the sandbox's matter.
 */

/** Words of a shell that stand before a simple command. */
const keywords = new Set("! { } if then else elif fi do done while until".split(" "));
/** Programs that start the one that is named behind them. */
const starters = new Set("exec command env nice nohup time timeout".split(" "));
const shells = new Set("sh bash dash zsh ksh".split(" "));

/** Nobody nests deeper; beyond it a substitution is read as what stands beside it. */
const depthMax = 20;

/** Where a reading is: the text, and the place in it. */
type Reader = { readonly text: string; at: number };

/**
 * Reads simple commands, each as its words, up to `end` or the end of the text. What is in quotes is of one word; a
 * substitution is a command wherever a shell runs it, in double quotes too; redirections are left out.
 */
function read(reader: Reader, end: ")" | "`" | "", depth: number): string[][] {
  const { text } = reader;
  const commands: string[][] = [[]];
  const substituted: string[][] = [];
  let brackets = 0;
  let word: string | null = null;
  let isQuoted = false;
  let isTarget = false;
  const endWord = (): void => {
    if (word !== null && !isTarget) commands.at(-1)?.push(word);
    if (word !== null) isTarget = false;
    word = null;
  };
  const endCommand = (): void => {
    endWord();
    isTarget = false;
    commands.push([]);
  };
  for (; reader.at < text.length; reader.at += 1) {
    const letter = text[reader.at] as string;
    const opens = text.startsWith("$(", reader.at) ? ")" : letter === "`" && end !== "`" ? "`" : "";
    if (opens !== "" && depth < depthMax) {
      reader.at += opens === ")" ? 2 : 1;
      word = `${word ?? ""}$`;
      substituted.push(...read(reader, opens, depth + 1));
    } else if (letter === "\\") {
      reader.at += 1;
      const next = text[reader.at] ?? "";
      if (next !== "\n") word = (word ?? "") + next;
    } else if (letter === '"') {
      isQuoted = !isQuoted;
      word ??= "";
    } else if (isQuoted) {
      word = (word ?? "") + letter;
    } else if (letter === "'") {
      const close = text.indexOf("'", reader.at + 1);
      const stop = close < 0 ? text.length : close;
      word = (word ?? "") + text.slice(reader.at + 1, stop);
      reader.at = stop;
    } else if (letter === end && (end === "`" || brackets === 0)) break;
    else if (letter === "#" && word === null) reader.at = lineEnd(text, reader.at) - 1;
    else if (/[;&|()`\n]/.test(letter)) {
      brackets += letter === "(" ? 1 : letter === ")" ? -1 : 0;
      endCommand();
    } else if (/\s/.test(letter)) endWord();
    else if (/[<>]/.test(letter)) {
      if (word !== null && /^\d+$/.test(word)) word = null;
      endWord();
      isTarget = true;
      if (text[reader.at + 1] === "&") reader.at += 1;
    } else word = (word ?? "") + letter;
  }
  endWord();
  return [...commands, ...substituted].filter((each) => each.length > 0);
}

function lineEnd(text: string, from: number): number {
  const at = text.indexOf("\n", from);
  return at < 0 ? text.length : at;
}

/** The words from the program on that a simple command starts at last. */
function startedBy(words: readonly string[]): string[] {
  const skipped = (word: string, after: boolean): boolean =>
    keywords.has(word) || /^\w+=/.test(word) || (after && /^(?:-|[\d.]+[smhd]?$)/.test(word));
  let last: string | null = null;
  for (const [at, word] of words.entries()) {
    if (skipped(word, last !== null)) continue;
    if (!starters.has(nameOf(word))) return words.slice(at);
    last = word;
  }
  return last === null ? [] : [last];
}

/** The simple commands of a text, and those of what it gives to a shell as `-c`. */
function simple(line: string, depth = 0): string[][] {
  // The text behind `<<` is read like the rest; a quote in it is none, and hides nothing.
  const texts = line.includes("<<") ? [line, ...line.split("\n")] : [line];
  return texts
    .flatMap((text) => read({ text, at: 0 }, "", 0))
    .flatMap((each) => {
      const words = startedBy(each);
      if (words.length === 0) return [];
      const flag = words.findIndex((word) => /^-[a-z]*c$/.test(word));
      const isShell = shells.has(nameOf(words[0] ?? "")) && flag > 0 && depth < depthMax;
      return [words, ...(isShell ? simple(words[flag + 1] ?? "", depth + 1) : [])];
    });
}

const nameOf = (program: string): string => program.slice(program.lastIndexOf("/") + 1);

const namesOf = (commands: readonly string[][]): string[] => [
  ...new Set(commands.map(([program = ""]) => nameOf(program))),
];

/** The programs that a command line starts, by their names, each once. */
export const programsOf = (line: string): string[] => namesOf(simple(line));

/** Those that a program with its arguments, which no shell reads, starts: itself, and what is named behind one like `env`. */
export const programsOfWords = (words: readonly string[]): string[] =>
  namesOf([[...words], ...simple(words.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(" "))]);

/** What git writes besides files of the tree: history, refs, settings, remotes. */
const writes = new Set(
  "commit push tag branch merge rebase cherry-pick revert am config remote submodule worktree update-ref symbolic-ref replace notes filter-branch fast-import fetch pull init clone hook maintenance gc reset stash bisect reflog prune repack pack-refs".split(
    " ",
  ),
);
/** Verbs that make a branch by an option only. */
const branching: Readonly<Record<string, RegExp>> = {
  checkout: /^(?:-[bB]|--orphan$|--track$|-t$)/,
  switch: /^(?:-[cC]|--create|--force-create|--orphan)/,
};
/** Options before the verb whose value is the next word. */
const valued = /^(?:-[Cc]|--(?:git-dir|work-tree|namespace|super-prefix|config-env|attr-source|exec-path))$/;

/** The words by which git is asked to write, as `git commit`; null: it is not. */
export function gitWriteIn(line: string): string | null {
  for (const [program = "", ...words] of simple(line)) {
    if (nameOf(program) !== "git") continue;
    const at = words.findIndex((word, each) => !word.startsWith("-") && !valued.test(words[each - 1] ?? ""));
    const verb = words[at];
    if (verb === undefined) continue;
    if (writes.has(verb)) return `git ${verb}`;
    const option = words
      .slice(at + 1)
      .find((word) => Object.hasOwn(branching, verb) && branching[verb]?.test(word));
    if (option) return `git ${verb} ${option}`;
  }
  return null;
}
