import { codeAlone } from "./comment.ts";
import { languageOf } from "./place.ts";

/**
 * The names that a source file gives to others, types too; null: not known, because the file gives them away by
 * computing. Read from its form, not run: names made by a second declarator (`export const a = 1, b = 2`) are not seen.
 */
export function exportedNames(path: string, text: string): ReadonlySet<string> | null {
  switch (languageOf(path, text)) {
    case "js":
      return scriptExports(text);
    case "go":
      return path.endsWith(".go") ? captured(text, goForms) : new Set();
    case "rust":
      return captured(text, [
        /^\s*pub\s+(?:(?:async|unsafe|const|extern "C")\s+)*(?:fn|struct|enum|trait|type|mod|static|const)\s+(\w+)/gm,
      ]);
    case "python":
      return new Set(
        [
          ...(/^__all__\s*[:=][^=]*?[[(]([^\])]*)[\])]/m.exec(text)?.[1]?.matchAll(/["'](\w+)["']/g) ?? []),
        ].map((each) => each[1] as string),
      );
    default:
      return new Set();
  }
}

const goForms = [/^(?:func|type|var|const)\s+([A-Z]\w*)/gm, /^func\s*\([^)\n]*\)\s*([A-Z]\w*)/gm];

const captured = (text: string, forms: readonly RegExp[]): Set<string> =>
  new Set(forms.flatMap((each) => [...text.matchAll(each)].map((match) => match[1] as string)));

const declared =
  /\bexport\s+(?:declare\s+)?(?:async\s+|abstract\s+)*(?:function\s*\*?|class|const\s+enum|enum|interface|type|namespace|module|let|const|var)\s*([\w$]+)/g;
const listed = /\bexport\s*(?:type\s*)?\{([^}]*)\}/g;
const destructured = /\bexport\s+(?:const|let|var)\s*[{[]([^=]*)[}\]]\s*=/g;
const starred = /\bexport\s*\*\s*(?:as\s+([\w$]+)\s+)?from\s*["']/g;
const assigned = /(?<![\w$.])(?:module\s*\.\s*)?exports\s*\.\s*([\w$]+)\s*=(?!=)/g;
const definedOn = /\bdefineProperty\s*\(\s*(?:module\s*\.\s*)?exports\s*,\s*(["'])/g;
const whole = /\bmodule\s*\.\s*exports\s*=(?![=>])\s*(\{)?/g;

function scriptExports(text: string): ReadonlySet<string> | null {
  const code = codeAlone(text);
  const names = captured(code, [declared, assigned]);
  if (/\bexport\s+default\b/.test(code)) names.add("default");
  for (const [, list = ""] of code.matchAll(listed)) for (const name of lastWords(list)) names.add(name);
  for (const [, list = ""] of code.matchAll(destructured))
    for (const name of lastWords(list)) names.add(name);
  for (const match of code.matchAll(starred)) names.add(match[1] ?? `* from ${quotedAt(text, match)}`);
  for (const match of code.matchAll(definedOn)) names.add(quotedAt(text, match));
  for (const match of code.matchAll(whole)) {
    if (!match[1]) names.add("default");
    const keys = match[1] ? keysOf(code.slice(match.index + match[0].length)) : [];
    if (!keys) return null;
    for (const key of keys) names.add(key);
  }
  return names;
}

/** What each part of a list is called outside: `a as b`, `a: b` and `b = 1` give b. */
const lastWords = (list: string): string[] =>
  list.split(",").flatMap((part) => {
    const word = /([\w$]+)\s*$/.exec(part.split("=")[0] as string);
    return word ? [word[1] as string] : [];
  });

/** The string that begins with the last character of a match. */
function quotedAt(text: string, match: RegExpExecArray): string {
  const from = match.index + match[0].length;
  return text.slice(from, text.indexOf(text[from - 1] as string, from));
}

/** The keys of an object literal whose brace was just opened; null when it has some that only running it can tell. */
function keysOf(code: string): string[] | null {
  const keys: string[] = [];
  let depth = 0;
  let part = "";
  for (const char of code) {
    const closes = depth === 0 && char === "}";
    if (closes || (depth === 0 && char === ",")) {
      if (/^\s*(?:\.\.\.|\[)/.test(part)) return null;
      const key = /^\s*(?:(?:async|get|set|static)\s+|\*\s*)*([\w$]+)/.exec(part);
      if (key) keys.push(key[1] as string);
      if (closes) return keys;
      part = "";
      continue;
    }
    if ("([{".includes(char)) depth++;
    if (")]}".includes(char)) depth--;
    part += char;
  }
  return null;
}
