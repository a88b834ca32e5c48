import type { Language } from "./place.ts";

/** A slash after one of these begins a regular expression; after anything but a closing bracket it divides. */
const beforeRegex =
  /(?:^|[=(,:;[!&|?{}+\-*%<>~^]|\b(?:return|typeof|case|in|of|do|else|void|delete|throw|await|yield))\s*$/;
const regexLiteral = /\/(?![*/])(?:[^/\\[\n]|\\.|\[(?:[^\]\\\n]|\\.){0,100}\]){1,1000}\/[a-z]*/y;
const slashToken =
  /\/\/[^\n]*|\/\*[\s\S]*?(?:\*\/|$)|"(?:[^"\\\n]|\\[\s\S])*"?|'(?:[^'\\\n]|\\[\s\S])*'?|[`{}/]|[^"'`{}/]+/y;
const templateText = /(?:[^`\\$]|\\[\s\S]|\$(?!\{))*(?:`|\$\{|$)/y;
const hashToken =
  /"""[\s\S]*?(?:"""|$)|'''[\s\S]*?(?:'''|$)|"(?:[^"\\\n]|\\[\s\S])*"?|'(?:[^'\\\n]|\\[\s\S])*'?|#[^\n]*|[^"'#]+/y;

const blank = (text: string): string => text.replaceAll(/[^\n]/g, " ");
/** Only the line ends: white space in a comment's place would have to be stepped over by every pattern. */
const lineEnds = (text: string): string => text.replaceAll(/[^\n]/g, "") || " ";
/** A quoted text without what it says. */
const hollow = (text: string): string => `${text[0]}${blank(text.slice(1, -1))}${text.slice(1).slice(-1)}`;

/** So much of what is out decides how the next character is read. */
const tailChars = 80;

function take(token: RegExp, text: string, at: number): string {
  token.lastIndex = at;
  return token.exec(text)?.[0] ?? (text[at] as string);
}

/** Walks code with // comments and template strings once; every line keeps its number. */
class SlashReader {
  out = "";
  readonly #text: string;
  readonly #strings: boolean;
  /** For each open brace, whether it ends a `${` of a template. */
  readonly #closers: boolean[] = [];
  #at = 0;
  /** The end of what is out. */
  #last = "";

  constructor(text: string, strings: boolean) {
    this.#text = text;
    this.#strings = strings;
  }

  read(): string {
    while (this.#at < this.#text.length) this.#step(take(slashToken, this.#text, this.#at));
    return this.out;
  }

  #step(token: string): void {
    if (token.startsWith("//") || token.startsWith("/*"))
      this.#put(token, this.#strings ? lineEnds(token) : blank(token));
    else if (token === "/") this.#slash();
    else if (token[0] === '"' || token[0] === "'") this.#quoted(token);
    else if (token === "`") this.#template(token);
    else if (token === "}" && this.#closers.pop()) this.#template(token);
    else {
      if (token === "{") this.#closers.push(false);
      this.#put(token, token);
    }
  }

  #put(token: string, shown: string): void {
    this.out += shown;
    this.#last = (this.#last + shown.slice(-tailChars)).slice(-tailChars);
    this.#at += token.length;
  }

  #quoted(token: string): void {
    this.#put(token, this.#strings ? token : hollow(token));
  }

  /** After a closing bracket both readings are possible; as a regular expression it hides no code from a rule. */
  #slash(): void {
    const regex = beforeRegex.test(this.#last) || /\)\s*$/.test(this.#last);
    const token = regex ? take(regexLiteral, this.#text, this.#at) : "/";
    if (token.length > 1) this.#quoted(token);
    else this.#put("/", "/");
  }

  #template(opening: string): void {
    const found = take(templateText, this.#text, this.#at + 1);
    const token = opening + found;
    if (found.endsWith("${")) this.#closers.push(true);
    this.#put(token, this.#strings ? token : hollow(token));
  }
}

/** Strings that stand where a statement begins are Python's way to write a comment. */
function readHash(text: string): string {
  let out = "";
  let last = "";
  for (let at = 0; at < text.length; ) {
    const token = take(hashToken, text, at);
    const comment = token[0] === "#" && /(?:^|[\s;(){}])$/.test(last.slice(-1));
    const docstring = /^("""|''')/.test(token) && /(?:^|\n)[ \t]*$/.test(last);
    const shown = comment || docstring ? lineEnds(token) : token;
    out += shown;
    last = (last + shown.slice(-tailChars)).slice(-tailChars);
    at += token.length;
  }
  return out;
}

/** The text without its comments; every line keeps its number. */
export function withoutComments(text: string, language: Language): string {
  if (language === "other") return text;
  if (language === "js" || language === "go" || language === "rust")
    return new SlashReader(text, true).read();
  return readHash(text);
}

/** JavaScript or TypeScript without comments and without what its strings say. */
export const codeAlone = (text: string): string => new SlashReader(text, false).read();
