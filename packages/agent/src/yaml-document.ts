import { type ErrorCode, type Fault, QuestbusError } from "@questbus/protocol";
import { LineCounter, type ParsedNode, parseDocument, type Document } from "yaml";
import { z } from "zod";

type Path = readonly PropertyKey[];
type JsonSchema = z.core.JSONSchema.BaseSchema;

/** `quest.yaml:12:5`; the place of the value at `path`, or of its nearest parent that is there. */
function placeOf(
  document: Document.Parsed,
  lines: LineCounter,
  file: string,
  path: Path,
  lineOffset: number,
): string {
  for (let length = path.length; length >= 0; length--) {
    const node = (length === 0 ? document.contents : document.getIn(path.slice(0, length), true)) as
      | ParsedNode
      | undefined
      | null;
    const at = node?.range?.[0];
    if (at === undefined) continue;
    const { line, col } = lines.linePos(at);
    return `${file}:${line + lineOffset}:${col}`;
  }
  return `${file}:${1 + lineOffset}:1`;
}

export const pathText = (path: Path): string =>
  path
    .map((part, at) =>
      typeof part === "number" ? `[${part}]` : at === 0 ? String(part) : `.${String(part)}`,
    )
    .join("");

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

/** The issues of the branch of a union that the author most likely meant: the one with the fewest complaints. */
function flatten(issue: z.core.$ZodIssue, base: Path = []): { path: Path; issue: z.core.$ZodIssue }[] {
  const path = [...base, ...issue.path];
  if (issue.code !== "invalid_union" || issue.errors.length === 0) return [{ path, issue }];
  const weight = (branch: readonly z.core.$ZodIssue[]): number =>
    branch.reduce((sum, each) => sum + (each.code === "unrecognized_keys" ? each.keys.length : 2), 0);
  const [best = []] = [...issue.errors].sort((a, b) => weight(a) - weight(b));
  return best.flatMap((each) => flatten(each, path));
}

function toFaults(
  issue: z.core.$ZodIssue,
  code: ErrorCode,
  schema: z.ZodType,
  place: (path: Path) => string,
): Fault[] {
  const json = z.toJSONSchema(schema, { io: "input", unrepresentable: "any" });
  return flatten(issue).flatMap(({ path, issue: found }): Fault[] => {
    if (found.code !== "unrecognized_keys") {
      const at = pathText(path);
      return [
        {
          code,
          message: at ? `${at}: ${found.message}` : found.message,
          where: place(path),
          next: "correct this value",
        },
      ];
    }
    const known = knownKeys(json, path).join(", ");
    return found.keys.map((key) => ({
      code,
      message: `${pathText([...path, key])}: unknown key`,
      where: place([...path, key]),
      next: known ? `known keys here: ${known}` : "remove it",
    }));
  });
}

/**
 * Reads a YAML (or JSON) document against a schema. Every fault is reported, each with file:line:column.
 *
 * @throws QuestbusError with `code`, one fault for each thing that is wrong.
 */
export function readDocument<S extends z.ZodType>(
  text: string,
  options: { file: string; code: ErrorCode; schema: S; lineOffset?: number },
): z.output<S> {
  const { file, code, schema, lineOffset = 0 } = options;
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const syntax = document.errors.map((error): Fault => {
    const { line, col } = lines.linePos(error.pos[0]);
    return {
      code,
      message: error.message,
      where: `${file}:${line + lineOffset}:${col}`,
      next: "correct the YAML here",
    };
  });
  const place = (path: Path): string => placeOf(document, lines, file, path, lineOffset);
  const parsed = syntax.length > 0 ? null : schema.safeParse(document.toJS({ maxAliasCount: 100 }));
  if (parsed?.success) return parsed.data;
  const faults = parsed
    ? parsed.error.issues.flatMap((issue) => toFaults(issue, code, schema, place))
    : syntax;
  const [first, ...rest] = faults;
  throw new QuestbusError(first ?? { code, message: "the document could not be read", where: file }, ...rest);
}
