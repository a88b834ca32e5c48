import { createHash } from "node:crypto";
import { canonicalText, limit, type RestrictedOperation, type TouchedPath } from "@questbus/protocol";
import {
  changedDependencies,
  dependencyParts,
  isDependencyFile,
  isPartlyDependencies,
} from "../gaming/manifest.ts";

/**
 * Which changes of a candidate are restricted, from its paths and, where a file is restricted in part, from its texts.
 * A function of the difference itself: whoever holds the repository finds the same.
 *
 * R1  A path whose content was not shown counts as changed in all that is restricted of it.
 * R2  Upper and lower case are one, as on the disks of some who will check it out.
 */

const gitPaths = [
  /(?:^|\/)\.git(?:attributes|config|modules)$/,
  /(?:^|\/)\.lfsconfig$/,
  /(?:^|\/)(?:\.husky|\.githooks|\.git-hooks|githooks)\//,
  /(?:^|\/)(?:\.?lefthook(?:-local)?\.(?:ya?ml|toml|json)|\.pre-commit-config\.ya?ml|\.?overcommit\.yml)$/,
];

/** What gives coding agents their tools, programs and permissions. */
const mcpPaths = [
  /(?:^|\/)\.?mcp\.json$/,
  /(?:^|\/)\.claude\/(?:settings(?:\.local)?\.json$|(?:hooks|plugins)\/)/,
  /(?:^|\/)\.continue\/(?:config\.(?:ya?ml|json|ts)$|mcpservers\/)/,
  /(?:^|\/)(?:opencode\.jsonc?|claude_desktop_config\.json|\.aider\.conf\.yml)$/,
];
/** Files that do, anywhere below a folder: two expressions, as one that has both takes a path's length squared. */
const mcpBelow = [
  [/(?:^|\/)\.(?:codex|gemini|qwen|zed|kiro|amazonq)\//, /\/(?:config\.toml|settings\.json|mcp\.json)$/],
  [/(?:^|\/)\.(?:cursor|vscode|roo|windsurf)\//, /\/mcp[\w-]*\.json$/],
] as const;
const isMcp = (path: string): boolean =>
  mcpPaths.some((each) => each.test(path)) ||
  mcpBelow.some(([folder, name]) => name.test(path) && folder.test(path));

type PathKind = "dependencies" | "git" | "mcp";

function kindsOf(path: string): PathKind[] {
  const lower = path.toLowerCase();
  const kinds: PathKind[] = [];
  if (isDependencyFile(path) || isDependencyFile(lower)) kinds.push("dependencies");
  if (gitPaths.some((each) => each.test(lower))) kinds.push("git");
  if (isMcp(lower)) kinds.push("mcp");
  return kinds;
}

/** Whether a change of this path may be restricted. */
export const isTouchy = (path: string): boolean => kindsOf(path).length > 0;

/** Whether its texts say what of it is restricted. */
export const isTouchyInPart = (path: string): boolean => isPartlyDependencies(path);

export const digestOf = (value: unknown): string =>
  createHash("sha256").update(canonicalText(value)).digest("hex");

const does: Record<PathKind, string> = {
  dependencies: "another dependency, or another version of one",
  git: "hooks, attributes or settings of git",
  mcp: "tools or settings of coding agents",
};

function operationOf(kind: PathKind, { path, oid, before, after }: TouchedPath): RestrictedOperation | null {
  const said = (what: string, content: unknown): RestrictedOperation => ({
    kind,
    where: path.slice(-limit.placeCharsMax),
    what,
    digest: digestOf([kind, path, content]),
  });
  const how = oid === null ? "removes" : "changes";
  if (kind !== "dependencies" || !isTouchyInPart(path)) return said(`${how} ${does[kind]}`, oid);
  if (before === null && after === null) return said(`changes ${does[kind]} (not shown in part)`, oid);
  const changed = changedDependencies(path, before, after);
  if (changed === null) return said("changes it so that it cannot be read", oid);
  return changed.length === 0
    ? null
    : said(`${how} ${changed.join(", ")}: ${does[kind]}`, dependencyParts(path, after));
}

/** The restricted operations among what is shown. */
export const operationsIn = (touched: readonly TouchedPath[]): RestrictedOperation[] =>
  touched.flatMap((each) => kindsOf(each.path).flatMap((kind) => operationOf(kind, each) ?? []));

/** What a path says by its name alone, its content not being shown (R1). */
export const operationsUnshown = (paths: readonly string[]): RestrictedOperation[] =>
  paths.flatMap((path) =>
    kindsOf(path).map((kind) => ({
      kind,
      where: path.slice(-limit.placeCharsMax),
      what: `changes ${does[kind]} (not shown)`,
      digest: digestOf([kind, path, "not shown"]),
    })),
  );

export const sameOperation = (one: RestrictedOperation, other: RestrictedOperation): boolean =>
  one.kind === other.kind && one.where === other.where && one.digest === other.digest;

/** Each once, in a fixed order, as many as one approval names; the last stands for all the rest. */
export function namedOperations(operations: readonly RestrictedOperation[]): RestrictedOperation[] {
  const each = new Map(operations.map((one) => [`${one.where}\0${one.kind}\0${one.digest}`, one]));
  const sorted = [...each].sort(([one], [other]) => (one < other ? -1 : 1)).map(([, one]) => one);
  if (sorted.length <= limit.operationsMax) return sorted;
  const rest = sorted.slice(limit.operationsMax - 1) as [RestrictedOperation, ...RestrictedOperation[]];
  const [{ kind, where }] = rest;
  const what = `${rest.length} more operations like these, from ${where} on`.slice(0, limit.reasonCharsMax);
  return [...sorted.slice(0, limit.operationsMax - 1), { kind, where, what, digest: digestOf(rest) }];
}

/** One line for people: `dependencies (package.json), mcp (.mcp.json)`. */
export function operationsText(operations: readonly RestrictedOperation[]): string {
  const [first, second, ...more] = operations.map(({ kind, where }) => `${kind} (${where})`);
  const shown = [first, second].filter(Boolean).join(", ");
  return more.length > 0 ? `${shown} and ${more.length} more` : shown;
}
