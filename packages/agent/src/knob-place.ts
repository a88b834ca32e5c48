import type { KnobSetting } from "@questbus/core";
import { type Knob, type KnobPlace, type KnobValue, QuestbusError } from "@questbus/protocol";
import { isAlias, isCollection, isScalar, parse, parseDocument } from "yaml";

/**
 * Writes the values of parameters into the text of files. Pure. Only the value itself is replaced, in JSON and YAML
 * too: comments, order and layout stay as they were, so that a candidate's diff shows the setting and nothing else.
 */

/** Texts by path; null: there is no such file. */
export type KnobFiles = ReadonlyMap<string, string | null>;

/** The files that parameters are written into, and those that are read for it. */
export const knobFiles = (parameters: readonly Knob[]): { written: string[]; read: string[] } => {
  const written = [...new Set(parameters.map(({ place }) => place.file))].sort();
  const templates = parameters.flatMap(({ place }) => (place.kind === "template" ? [place.from] : []));
  return { written, read: [...new Set([...written, ...templates])] };
};

/**
 * The files as they are under `setting`.
 * @param files the texts of last known-good, of every file that {@link knobFiles} names
 * @throws KNOB_PLACE_MISSING where a file, key, pointer or placeholder is not there and `create` does not allow for it
 */
export function renderKnobs(
  parameters: readonly Knob[],
  setting: KnobSetting,
  files: KnobFiles,
): Map<string, string> {
  const texts = new Map<string, string>();
  for (const { name, place } of parameters) {
    const text = texts.get(place.file) ?? startOf(place, files);
    texts.set(place.file, written(place, text, setting[name] as KnobValue));
  }
  return texts;
}

function startOf(place: KnobPlace, files: KnobFiles): string {
  const text = files.get(place.file) ?? null;
  if (text === null && !place.create) throw missing(place, "there is no such file");
  if (place.kind !== "template") return text ?? "";
  const template = files.get(place.from) ?? null;
  if (template === null) throw missing(place, `there is no template ${place.from}`);
  return template;
}

const missing = (place: KnobPlace, what: string): QuestbusError =>
  new QuestbusError({
    code: "KNOB_PLACE_MISSING",
    message: `a parameter cannot be written to ${place.file}: ${what}`,
    where: place.file,
    next: "correct the place in the quest file, or let it be made with create: true",
  });

function written(place: KnobPlace, text: string, value: KnobValue): string {
  switch (place.kind) {
    case "env":
      return withLine(place, text, value);
    case "json":
      return withJson(place, text, value);
    case "yaml":
      return withYaml(place, text, value);
    case "template":
      if (!text.includes(place.placeholder))
        throw missing(place, `${place.from} has no ${place.placeholder}`);
      return text.replaceAll(place.placeholder, () => String(value));
  }
}

const plainEnv = /^[A-Za-z0-9_./:@%+,-]*$/;
const envText = (value: KnobValue): string =>
  plainEnv.test(String(value)) ? String(value) : JSON.stringify(String(value));

/** Replaces the value in every line `KEY=...`; an unquoted comment behind it stays. */
function withLine(place: Extract<KnobPlace, { kind: "env" }>, text: string, value: KnobValue): string {
  const key = place.key.replaceAll(".", "\\.");
  const line = new RegExp(
    `^([ \\t]*(?:export[ \\t]+)?${key}[ \\t]*=[ \\t]*)("[^"\\n]*"|'[^'\\n]*'|[^#\\n]*?)([ \\t]*(?:#.*)?)$`,
    "gm",
  );
  if (line.test(text)) return text.replace(line, (_, head, __, tail) => `${head}${envText(value)}${tail}`);
  if (!place.create) throw missing(place, `it has no line ${place.key}=`);
  return `${text}${text === "" || text.endsWith("\n") ? "" : "\n"}${place.key}=${envText(value)}\n`;
}

const keysOf = (pointer: string): string[] =>
  pointer
    .split("/")
    .slice(1)
    .map((token) => token.replaceAll("~1", "/").replaceAll("~0", "~"));

type Pointed = Extract<KnobPlace, { kind: "json" | "yaml" }>;

function withJson(place: Pointed, text: string, value: KnobValue): string {
  let data: unknown;
  try {
    data = text === "" ? {} : JSON.parse(text);
  } catch (error) {
    throw missing(place, `it is not JSON: ${(error as Error).message}`);
  }
  // JSON is YAML: its reader knows where each value stands.
  const spliced = splice(place, text, JSON.stringify(value));
  if (spliced !== null) return spliced;
  const indent = /^[ \t]+(?=")/m.exec(text)?.[0] ?? "  ";
  return `${JSON.stringify(placed(place, data, value), null, indent)}\n`;
}

function withYaml(place: Pointed, text: string, value: KnobValue): string {
  const spliced = splice(place, text, yamlText(value));
  if (spliced !== null) return spliced;
  const document = parseDocument(text);
  try {
    document.setIn(keysOf(place.pointer), value);
  } catch (error) {
    throw missing(place, `${place.pointer} cannot be made: ${(error as Error).message}`);
  }
  return document.toString();
}

/** Plain where no reader takes it for anything else; in quotes it means the same in a map, a list and a line. */
const yamlText = (value: KnobValue): string =>
  typeof value !== "string" || (/^[A-Za-z][A-Za-z0-9_./-]*$/.test(value) && parse(value) === value)
    ? String(value)
    : JSON.stringify(value);

/** The text with the value at the pointer replaced; null where there is none and it may be made. */
function splice(place: Pointed, text: string, value: string): string | null {
  const document = parseDocument(text);
  const [wrong] = document.errors;
  if (wrong) throw missing(place, `it cannot be read: ${wrong.message.split("\n", 1)[0]}`);
  const keys = keysOf(place.pointer);
  const node = document.contents === null ? undefined : document.getIn(keys, true);
  if (isScalar(node) && node.range) return text.slice(0, node.range[0]) + value + text.slice(node.range[1]);
  if (isCollection(node) || isAlias(node)) throw missing(place, `${place.pointer} is no plain value`);
  if (!place.create) throw missing(place, `it has nothing at ${place.pointer}`);
  return null;
}

function placed(place: Pointed, data: unknown, value: KnobValue): unknown {
  const keys = keysOf(place.pointer);
  const root = structuredClone(data);
  let here = root;
  for (const [at, key] of keys.entries()) {
    if (typeof here !== "object" || here === null || ["__proto__", "constructor"].includes(key))
      throw missing(place, `${place.pointer} cannot be made`);
    const last = at === keys.length - 1;
    if (last) Reflect.set(here, key, value);
    else if (!Object.hasOwn(here, key)) Reflect.set(here, key, {});
    here = Reflect.get(here, key) as unknown;
  }
  return root;
}
