import { type ErrorCode, type Fault, pathText, QuestbusError } from "@questbus/protocol";
import {
  type Document,
  isMap,
  isScalar,
  LineCounter,
  type ParsedNode,
  parseDocument,
  type Scalar,
  visit,
  type YAMLError,
} from "yaml";
import { z } from "zod";
import { nearWord } from "./near-word.ts";
import { kindText, plainIssue } from "./plain-issue.ts";

type Path = readonly PropertyKey[];
type JsonSchema = z.core.JSONSchema.BaseSchema;

/** Where things stand, as `quest.yaml:12:5`. */
type Places = {
  offset(at: number): string;
  /** The value at `path`, or its nearest parent that is there. */
  value(path: Path): string;
  /** The key itself, in the map at `path`. */
  key(path: Path, key: string): string;
};

function placesIn(document: Document.Parsed, lines: LineCounter, file: string, lineOffset: number): Places {
  const node = (path: Path): ParsedNode | null =>
    ((path.length === 0 ? document.contents : document.getIn(path, true)) as ParsedNode | undefined) ?? null;
  const offset = (at: number): string => {
    const { line, col } = lines.linePos(at);
    return `${file}:${line + lineOffset}:${col}`;
  };
  const value = (path: Path): string => {
    const at = node(path)?.range?.[0];
    if (at !== undefined) return offset(at);
    return path.length > 0 ? value(path.slice(0, -1)) : `${file}:${1 + lineOffset}:1`;
  };
  const key = (path: Path, name: string): string => {
    const map = node(path);
    const pair = isMap(map)
      ? map.items.find((each) => isScalar(each.key) && String(each.key.value) === name)
      : null;
    return pair ? offset((pair.key as ParsedNode).range[0]) : value([...path, name]);
  };
  return { offset, value, key };
}

/** Names of the keys that a schema knows at `path`. */
function knownKeys(root: JsonSchema, path: Path): string[] {
  const resolve = (schema: JsonSchema | undefined): JsonSchema[] => {
    if (!schema) return [];
    const name = schema.$ref?.split("/").at(-1);
    const target = name ? (root.$defs?.[name] as JsonSchema | undefined) : schema;
    if (!target) return [];
    const parts = [...(target.anyOf ?? []), ...(target.oneOf ?? []), ...(target.allOf ?? [])] as JsonSchema[];
    return [target, ...parts.flatMap(resolve)];
  };
  let here = resolve(root);
  for (const part of path) {
    here = here.flatMap((schema) => {
      const inside = typeof part === "number" ? schema.items : schema.properties?.[String(part)];
      return resolve(inside as JsonSchema | undefined);
    });
  }
  return [...new Set(here.flatMap((schema) => Object.keys(schema.properties ?? {})))];
}

/**
 * The issues of the branch of a union that the author most likely meant: the one with the fewest complaints, where a
 * key that is unknown or missing at its root weighs more than whatever is wrong inside.
 */
function flatten(issue: z.core.$ZodIssue, base: Path = []): { path: Path; issue: z.core.$ZodIssue }[] {
  const path = [...base, ...issue.path];
  if (issue.code !== "invalid_union" || issue.errors.length === 0) return [{ path, issue }];
  const weight = (branch: readonly z.core.$ZodIssue[]): number =>
    branch.reduce((sum, each) => sum + weightOf(each), 0);
  const [best = []] = [...issue.errors].sort((a, b) => weight(a) - weight(b));
  return best.flatMap((each) => flatten(each, path));
}

const weightOf = ({ path, ...issue }: z.core.$ZodIssue): number => {
  if (issue.code === "unrecognized_keys") return path.length === 0 ? 10 * issue.keys.length : 1;
  return issue.code === "invalid_type" && path.length <= 1 ? 20 : 2;
};

function toFaults(
  issues: readonly z.core.$ZodIssue[],
  code: ErrorCode,
  schema: z.ZodType,
  document: Document.Parsed,
  places: Places,
): Fault[] {
  const json = z.toJSONSchema(schema, { io: "input", unrepresentable: "any" });
  const all = issues.flatMap((issue) => flatten(issue));
  // A key that is missing because it is misspelt is told once.
  const meant = new Set(
    all.flatMap(({ path, issue }) =>
      issue.code === "unrecognized_keys"
        ? issue.keys.map((key) => pathText([...path, nearWord(key, knownKeys(json, path)) ?? key]))
        : [],
    ),
  );
  return all.flatMap(({ path, issue: found }): Fault[] => {
    if (found.code !== "unrecognized_keys") {
      const at = pathText(path);
      const isThere = path.length === 0 || document.hasIn(path);
      if (!isThere && meant.has(at)) return [];
      const missing = found.code === "invalid_type" && !isThere;
      const what = missing ? `missing; it is ${kindText(found.expected)}` : found.message;
      const next = missing ? "add it" : "correct this value";
      return [{ code, message: at ? `${at}: ${what}` : what, where: places.value(path), next }];
    }
    const known = knownKeys(json, path);
    return found.keys.map((key) => ({
      code,
      message: `${pathText([...path, key])}: unknown key`,
      where: places.key(path, key),
      next: known.length > 0 ? nextOf(nearWord(key, known), known.join(", ")) : "remove it",
    }));
  });
}

const nextOf = (meant: string | null, known: string): string =>
  meant ? `did you mean ${meant}? Known keys here: ${known}` : `known keys here: ${known}`;

/** Where the quote begins that YAML misses the end of, which it tells where it gave up looking. */
function openQuote(document: Document.Parsed, { code, message, pos }: YAMLError): number | null {
  if (code !== "MISSING_CHAR" || !message.includes("quote")) return null;
  let found: number | null = null;
  visit(document, {
    Scalar(_, { type, range }: Scalar) {
      if (type?.startsWith("QUOTE_") && range && range[0] < pos[0]) found = range[0];
    },
  });
  return found;
}

/** The document's data; what YAML itself or the bound on aliases refuses is told in `faults`. */
function dataOf(
  document: Document.Parsed,
  code: ErrorCode,
  places: Places,
): { data: unknown; faults: Fault[] } {
  const next = "correct the YAML here";
  for (const error of document.errors) {
    const at = openQuote(document, error);
    if (at === null) continue;
    const message = `the quote ${error.message.at(-6)} that begins here does not end`;
    return { data: null, faults: [{ code, message, where: places.offset(at), next }] };
  }
  const faults = document.errors.map(
    (error): Fault => ({ code, message: error.message, where: places.offset(error.pos[0]), next }),
  );
  if (faults.length > 0) return { data: null, faults };
  try {
    return { data: document.toJS({ maxAliasCount: aliasesMax }), faults };
  } catch (error) {
    if (!(error instanceof ReferenceError)) throw error;
    return { data: null, faults: [{ code, message: error.message, where: places.value([]), next }] };
  }
}

const aliasesMax = 100;

/** A document that was read, and where each value of it stands. */
export type PlacedDocument<T> = {
  data: T;
  /** `quest.yaml:12:5` of the value at a path such as `fixers[0].patch`; null when there is none. */
  placeOf(path: string): string | null;
  /** The same of a key at the top, itself. */
  placeOfKey(key: string): string;
};

/**
 * Reads a YAML (or JSON) document against a schema. Every fault is reported, each with file:line:column.
 *
 * @throws QuestbusError with `code`, one fault for each thing that is wrong.
 */
export function readPlacedDocument<S extends z.ZodType>(
  text: string,
  options: { file: string; code: ErrorCode; schema: S; lineOffset?: number },
): PlacedDocument<z.output<S>> {
  const { file, code, schema, lineOffset = 0 } = options;
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, logLevel: "error" });
  const places = placesIn(document, lines, file, lineOffset);
  const { data, faults } = dataOf(document, code, places);
  const parsed = faults.length > 0 ? null : schema.safeParse(data, { error: plainIssue });
  if (parsed?.success) {
    const placeOf = (at: string): string | null => {
      const path = at
        .split(/[.[\]]+/)
        .flatMap((part) => (part === "" ? [] : [/^\d+$/.test(part) ? Number(part) : part]));
      return path.length > 0 && document.hasIn(path) ? places.value(path) : null;
    };
    return { data: parsed.data, placeOf, placeOfKey: (key) => places.key([], key) };
  }
  const issues = parsed?.error.issues ?? [];
  const [first, ...rest] = [...faults, ...toFaults(issues, code, schema, document, places)];
  throw new QuestbusError(first ?? { code, message: "the document could not be read", where: file }, ...rest);
}

/** The data of {@link readPlacedDocument} alone. */
export const readDocument = <S extends z.ZodType>(
  ...read: Parameters<typeof readPlacedDocument<S>>
): z.output<S> => readPlacedDocument(...read).data;
