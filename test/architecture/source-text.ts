/**
 * Reads TypeScript without a compiler, as far as the architecture tests need it: code with comments taken out and each
 * string replaced by a placeholder, so that a pattern never matches what only stands in a text.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join, relative, sep } from "node:path";

export type SourceFile = { path: string; text: string };
type Code = { code: string; strings: string[] };

const root = join(import.meta.dirname, "..", "..");

/** Every TypeScript file under these folders of the repository, by its path with forward slashes, sorted. */
export function readSources(...folders: string[]): SourceFile[] {
  const listed = folders.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && /\.[cm]?ts$/.test(entry.name))
      .map((entry) => join(entry.parentPath, entry.name)),
  );
  return listed
    .filter((file) => !file.includes(`${sep}node_modules${sep}`))
    .sort()
    .map((file) => ({ path: relative(root, file).split(sep).join("/"), text: readFileSync(file, "utf8") }));
}

/** A slash after one of these begins a regular expression; after anything else it divides. */
const beforeRegex =
  /(?:^|[=(,:;[!&|?{}+\-*%<>~^]|\b(?:return|typeof|case|in|of|do|else|void|delete|throw|await|yield))\s*$/;
const plainText = /^(?:[^"'`/{}\\]+|\\.)/s;

/** Walks the text once; `closers` remembers for each open brace whether it ends a `${` of a template. */
class Scanner {
  code = "";
  readonly strings: string[] = [];
  readonly #text: string;
  readonly #closers: boolean[] = [];
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  run(): Code {
    while (this.#at < this.#text.length) this.#step();
    return { code: this.code, strings: this.strings };
  }

  #step(): void {
    const rest = this.#text.slice(this.#at);
    const char = rest[0] as string;
    if (rest.startsWith("//")) this.#skip(/^[^\n]*/.exec(rest));
    else if (rest.startsWith("/*")) this.#blank(/^\/\*[\s\S]*?(?:\*\/|$)/.exec(rest));
    else if (char === '"' || char === "'") this.#quoted(rest, char);
    else if (char === "`") this.#template(1);
    else if (char === "/" && beforeRegex.test(this.code.slice(-40))) this.#regex(rest);
    else if (char === "}" && this.#closers.pop()) this.#template(1);
    else this.#copy(rest, char);
  }

  #copy(rest: string, char: string): void {
    if (char === "{") this.#closers.push(false);
    const plain = plainText.exec(rest)?.[0] ?? char;
    this.code += plain;
    this.#at += plain.length;
  }

  #skip(match: RegExpExecArray | null): void {
    this.#at += match?.[0].length ?? 1;
  }

  /** Keeps the line breaks of what it leaves out. */
  #blank(match: RegExpExecArray | null): void {
    this.code += match?.[0].replaceAll(/[^\n]/g, "") || " ";
    this.#skip(match);
  }

  #quoted(rest: string, quote: string): void {
    const match = (quote === '"' ? /^"((?:[^"\\\n]|\\[\s\S])*)"?/ : /^'((?:[^'\\\n]|\\[\s\S])*)'?/).exec(
      rest,
    );
    this.#place(match?.[1] ?? "");
    this.#skip(match);
  }

  /** The text of a template up to its end or its next `${`. */
  #template(opening: number): void {
    const match = /^((?:[^`\\$]|\\[\s\S]|\$(?!\{))*)(`|\$\{|$)/.exec(this.#text.slice(this.#at + opening));
    this.#place(match?.[1] ?? "");
    this.#at += opening + (match?.[0].length ?? 0);
    if (match?.[2] !== "${") return;
    this.#closers.push(true);
    this.code += " ";
  }

  #regex(rest: string): void {
    const match = /^\/(?:[^/\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[a-z]*/.exec(rest);
    this.code += match ? "(0)" : "/";
    this.#skip(match);
  }

  #place(text: string): void {
    this.code += `"${this.strings.push(text) - 1}"`;
  }
}

/** The code of a text, its comments left out and its strings numbered: `from "0"`. */
export const readCode = (text: string): Code => new Scanner(text).run();

const importForms = [
  /\b(?:import|export)\s+(?:type\s+)?(?:[\w$*{},\s]|"\d+"\s+as\s)*?\bfrom\s*"(\d+)"/g,
  /\bimport\s*"(\d+)"/g,
  /\bimport\s*\(\s*"(\d+)"/g,
  /\brequire(?:\s*\.\s*resolve)?\s*\(\s*"(\d+)"/g,
  /\bimport\s*\.\s*meta\s*\.\s*resolve\s*\(\s*"(\d+)"/g,
];

/** What a file imports, types too: static, re-exported, dynamic and required. */
export function importsOf({ code, strings }: Code): string[] {
  const found = importForms.flatMap((form) =>
    [...code.matchAll(form)].map((match) => strings[Number(match[1])] as string),
  );
  return [...new Set(found)];
}
