import { isUtf8 } from "node:buffer";
import { createHash } from "node:crypto";
import {
  type Actor,
  type CommandData,
  commandData,
  type ErrorCode,
  envelope,
  type Fault,
  faultLine,
  limit,
  parseCommandSubject,
  pathText,
  type Verb,
} from "@questbus/protocol";

/** Reading of messages: pure, total, and every fault with its path. */

/** A command that was read, typed by its verb. */
export type ReadCommand = {
  [V in Verb]: { id: string; actor: Actor; verb: V; data: CommandData[V]; traceparent: string | null };
}[Verb];

/** A message that was refused: what it was, and all that is wrong with it. */
export type DeadMessage = {
  subject: string;
  /** Who sent it, where the subject says so. */
  actor: Actor | null;
  code: ErrorCode;
  faults: string[];
  /** SHA-256 of the whole message. */
  sha256: string;
  /** Its first bytes as text. */
  excerpt: string;
};

export type Reading = { ok: true; command: ReadCommand } | { ok: false; dead: DeadMessage; faults: Fault[] };

const faultsMax = 64;
const faultCharsMax = 400;
/** No command nests this deep; a walk over what does could take for ever. */
const depthMax = 64;

/** The part of a zod issue that is read here. */
type Issue = {
  readonly path: readonly PropertyKey[];
  readonly message: string;
  readonly code?: string | undefined;
  readonly errors?: readonly (readonly Issue[])[];
};

/** A schema's words can repeat what the sender wrote: a key of any length, or half a surrogate pair. */
const excerptOf = (text: string): string => text.slice(0, faultCharsMax).toWellFormed();

/** Of a union, the faults of the branch that fits best: the one with the fewest. */
function leaves(issues: readonly Issue[], at: readonly PropertyKey[]): Issue[] {
  return issues.flatMap((issue) => {
    const path = [...at, ...issue.path];
    const branches = issue.code === "invalid_union" ? (issue.errors ?? []) : [];
    const [nearest] = branches.toSorted((a, b) => a.length - b.length);
    return nearest && nearest.length > 0 ? leaves(nearest, path) : [{ path, message: issue.message }];
  });
}

/** The faults of a schema's issues, at most {@link faultsMax}; the last then says how many more there are. */
export function faultsOfIssues(issues: readonly Issue[], at: readonly PropertyKey[] = []): Fault[] {
  const all = leaves(issues, at).map(
    ({ path, message }): Fault => ({
      code: "MESSAGE_INVALID",
      message: excerptOf(message),
      where: excerptOf(pathText(path)) || "message",
    }),
  );
  if (all.length <= faultsMax) return all;
  const more: Fault = {
    code: "MESSAGE_INVALID",
    message: `and ${all.length - faultsMax} more`,
    where: "message",
  };
  return [...all.slice(0, faultsMax), more];
}

/** Paths of strings that hold half a surrogate pair: JSON can write them, but they are no text and cannot be stored. */
function brokenTexts(root: unknown): Issue[] {
  const found: Issue[] = [];
  const waiting: { value: unknown; path: readonly PropertyKey[] }[] = [{ value: root, path: [] }];
  for (let next = waiting.pop(); next; next = waiting.pop()) {
    const { value, path } = next;
    if (typeof value === "string" && !value.isWellFormed())
      found.push({ path, message: "not well-formed text" });
    if (value === null || typeof value !== "object") continue;
    if (path.length >= depthMax) {
      found.push({ path, message: `nested more than ${depthMax} deep` });
      continue;
    }
    for (const [key, each] of Object.entries(value)) {
      if (!key.isWellFormed()) found.push({ path, message: "a key is not well-formed text" });
      waiting.push({ value: each, path: [...path, Array.isArray(value) ? Number(key) : key] });
    }
  }
  return found;
}

type Parsed = { value: unknown; issues: Issue[] };

function parse(bytes: Uint8Array): Parsed {
  if (!isUtf8(bytes)) return { value: undefined, issues: [{ path: [], message: "not UTF-8" }] };
  const text = Buffer.from(bytes).toString("utf8");
  try {
    const value: unknown = JSON.parse(text);
    return { value, issues: /\\u[dD][89a-fA-F]/.test(text) ? brokenTexts(value) : [] };
  } catch (error) {
    return { value: undefined, issues: [{ path: [], message: `not JSON: ${(error as Error).message}` }] };
  }
}

function refuse(subject: string, bytes: Uint8Array, faults: Fault[]): Reading {
  const excerpt = new TextDecoder().decode(bytes.subarray(0, limit.deadLetterBytesMax));
  const dead: DeadMessage = {
    subject,
    actor: parseCommandSubject(subject)?.actor ?? null,
    code: faults[0]?.code ?? "MESSAGE_INVALID",
    faults: faults.map(faultLine),
    sha256: createHash("sha256").update(bytes).digest("hex"),
    excerpt,
  };
  return { ok: false, dead, faults };
}

const tooLarge = (sizeBytes: number): Fault => ({
  code: "MESSAGE_TOO_LARGE",
  message: `the message has ${sizeBytes} bytes; at most ${limit.messageBytesMax} are taken`,
  where: "message",
  next: "send less: store large output as an artifact and name it",
});

/** Size of data as it will be passed on: `1e20` is 4 bytes here and 21 there. No text grows by more than that. */
const grownBytes = (data: unknown, arrivedBytes: number): number =>
  arrivedBytes * 6 <= limit.messageBytesMax ? arrivedBytes : Buffer.byteLength(JSON.stringify(data));

/** Reads one message that arrived on `<space>.cmd.<role>.<name>.<verb>`. */
export function readCommand(subject: string, bytes: Uint8Array): Reading {
  const from = parseCommandSubject(subject);
  if (!from) {
    return refuse(subject, bytes, [
      { code: "MESSAGE_INVALID", message: "the subject names no command", where: "subject" },
    ]);
  }
  if (bytes.length > limit.messageBytesMax) return refuse(subject, bytes, [tooLarge(bytes.length)]);
  const { value, issues } = parse(bytes);
  if (value === undefined) return refuse(subject, bytes, faultsOfIssues(issues));
  const head = envelope.safeParse(value);
  const given = value !== null && typeof value === "object" && "data" in value ? value.data : undefined;
  const data = commandData[from.verb].safeParse(given);
  const typeWanted = `questbus.command.${from.verb}.v1`;
  const typeWrong = head.success && head.data.type !== typeWanted;
  const faults = faultsOfIssues([
    ...issues,
    ...(head.success ? [] : head.error.issues),
    ...(typeWrong ? [{ path: ["type"], message: `expected ${typeWanted} on this subject` }] : []),
    ...(data.success ? [] : data.error.issues.map((each) => ({ ...each, path: ["data", ...each.path] }))),
  ]);
  if (faults.length > 0 || !head.success || !data.success) return refuse(subject, bytes, faults);
  const grown = grownBytes(data.data, bytes.length);
  if (grown > limit.messageBytesMax) return refuse(subject, bytes, [tooLarge(grown)]);
  const { id, traceparent = null } = head.data;
  return { ok: true, command: { id, ...from, data: data.data, traceparent } as ReadCommand };
}
