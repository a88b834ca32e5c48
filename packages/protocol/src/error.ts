/**
 * The error registry: every code a user can meet, what its class asks of the caller, and the exit code of the
 * command line. `docs/errors.md` documents each code; `test/architecture` holds both against each other.
 * A retired code is never used again.
 */

/** `terminal`: calling again changes nothing. `retryable`: call again as it is. `person`: somebody must act first. */
export type ErrorClass = "terminal" | "retryable" | "person";

/** Exit codes of the command line. */
export const exitCode = {
  ok: 0,
  failure: 1,
  usage: 2,
  notFound: 3,
  busUnavailable: 4,
  conflict: 5,
  notAccepted: 6,
  waitsForArbiter: 7,
  interrupted: 130,
} as const;

type Entry = { class: ErrorClass; exit: number };
const terminal = (exit: number): Entry => ({ class: "terminal", exit });
const retryable = (exit: number): Entry => ({ class: "retryable", exit });
const person = (exit: number): Entry => ({ class: "person", exit });

export const errorRegistry = {
  // what was asked for
  USAGE: terminal(exitCode.usage),
  QUEST_FILE_MISSING: person(exitCode.usage),
  QUEST_FILE_INVALID: person(exitCode.usage),
  CONFIG_INVALID: person(exitCode.usage),
  MESSAGE_INVALID: terminal(exitCode.usage),
  MESSAGE_TOO_LARGE: terminal(exitCode.usage),
  AGENT_FILE_INVALID: person(exitCode.usage),
  AGENT_EXISTS: terminal(exitCode.conflict),
  AGENT_COMMAND_FAILED: person(exitCode.failure),
  AGENT_NOT_FOUND: terminal(exitCode.notFound),
  FILE_EXISTS: person(exitCode.conflict),
  FILE_UNUSABLE: person(exitCode.usage),
  // the target
  TARGET_NOT_A_REPOSITORY: person(exitCode.usage),
  TARGET_UNCLEAN: person(exitCode.usage),
  TARGET_REF_MISSING: person(exitCode.usage),
  BRANCH_EXISTS: person(exitCode.conflict),
  // candidates
  PATCH_MISSING: person(exitCode.usage),
  PATCH_INVALID: person(exitCode.usage),
  PATCH_EMPTY: person(exitCode.usage),
  PATCH_DOES_NOT_APPLY: person(exitCode.usage),
  NO_CANDIDATE_LEFT: person(exitCode.failure),
  PATH_ESCAPES: person(exitCode.usage),
  PATH_FORBIDDEN: person(exitCode.usage),
  KNOB_PLACE_MISSING: person(exitCode.usage),
  FIXER_CHANGED_NOTHING: person(exitCode.failure),
  FIXER_FAILED: person(exitCode.failure),
  FIXER_TIMEOUT: person(exitCode.failure),
  FIXER_MISSING: person(exitCode.failure),
  FIXER_QUOTA: person(exitCode.failure),
  // the bench, the suite, the machine
  PREPARE_FAILED: person(exitCode.failure),
  BENCH_FAILED: person(exitCode.failure),
  BENCH_TIMEOUT: person(exitCode.failure),
  BENCH_LEFT_PROCESS: person(exitCode.failure),
  DIGEST_UNSTABLE: person(exitCode.failure),
  METRIC_MISSING: person(exitCode.failure),
  METRIC_NOT_A_NUMBER: person(exitCode.failure),
  SAMPLES_TOO_FEW: person(exitCode.failure),
  BENCH_TOO_NOISY: person(exitCode.failure),
  SUITE_FAILED: person(exitCode.failure),
  SUITE_TIMEOUT: person(exitCode.failure),
  MACHINE_UNFIT: person(exitCode.failure),
  DISK_FULL: person(exitCode.failure),
  ROLLBACK_UNPROVEN: person(exitCode.failure),
  ARTIFACT_MISSING: person(exitCode.failure),
  // the loop
  QUEST_NOT_FOUND: terminal(exitCode.notFound),
  PASS_NOT_FOUND: terminal(exitCode.notFound),
  NOTHING_ACCEPTED: person(exitCode.conflict),
  NOT_MERGED: person(exitCode.conflict),
  QUEST_ENDED: terminal(exitCode.conflict),
  SAFE_MODE: person(exitCode.conflict),
  ASSIGNMENT_NOT_FOUND: terminal(exitCode.notFound),
  PASS_LIMIT: terminal(exitCode.conflict),
  LEASE_STALE: terminal(exitCode.conflict),
  AGENT_LOST: person(exitCode.failure),
  CANDIDATE_NOT_AWAITED: terminal(exitCode.conflict),
  REPORT_OUT_OF_TURN: terminal(exitCode.conflict),
  SOURCE_MISSING: person(exitCode.failure),
  CLARIFICATION_WANTED: person(exitCode.failure),
  NOT_A_PARTICIPANT: terminal(exitCode.conflict),
  CONVERSATION_ENDED: terminal(exitCode.conflict),
  TURN_OUT_OF_TURN: terminal(exitCode.conflict),
  TURN_STALE: terminal(exitCode.conflict),
  TURN_ANSWERED: terminal(exitCode.conflict),
  TURN_NOT_TAKEN: terminal(exitCode.conflict),
  TURN_MALFORMED: terminal(exitCode.usage),
  TURN_FILES_WRONG: terminal(exitCode.usage),
  TURN_MISSED: person(exitCode.failure),
  TURN_BLOCKED: person(exitCode.failure),
  ROLE_UNCLEAR: terminal(exitCode.usage),
  ROLE_FORBIDDEN: terminal(exitCode.conflict),
  ESCALATION_NOT_FOUND: terminal(exitCode.notFound),
  RULING_NOT_ALLOWED: person(exitCode.conflict),
  // approvals
  APPROVAL_NOT_FOUND: terminal(exitCode.notFound),
  APPROVAL_CLOSED: terminal(exitCode.conflict),
  APPROVAL_DENIED: person(exitCode.notAccepted),
  APPROVAL_EXPIRED: person(exitCode.notAccepted),
  APPROVAL_MISSING: person(exitCode.conflict),
  TOOL_FORBIDDEN: person(exitCode.conflict),
  // memories
  MEMORY_NOT_FOUND: terminal(exitCode.notFound),
  MEMORY_FULL: terminal(exitCode.conflict),
  // dead letters
  DEAD_NOT_FOUND: terminal(exitCode.notFound),
  DEAD_CLOSED: terminal(exitCode.conflict),
  DEAD_NOT_RETRYABLE: person(exitCode.conflict),
  // the stack
  BUS_UNAVAILABLE: retryable(exitCode.busUnavailable),
  CREDENTIAL_REFUSED: person(exitCode.busUnavailable),
  STANDBY_APART: person(exitCode.failure),
  BROKER_MISSING: person(exitCode.busUnavailable),
  OVERLOADED: retryable(exitCode.busUnavailable),
  NOT_RUNNING: person(exitCode.busUnavailable),
  STATE_LOCKED: person(exitCode.conflict),
  STATE_NEWER: person(exitCode.failure),
  STATE_MISSING: person(exitCode.notFound),
  STATE_UNUSABLE: person(exitCode.usage),
  STATE_BROKEN: person(exitCode.failure),
  AUDIT_BROKEN: person(exitCode.failure),
  CHECKPOINT_MISSING: person(exitCode.notFound),
  REPLAY_DIFFERS: person(exitCode.failure),
  BACKUP_MISSING: person(exitCode.notFound),
  BACKUP_BROKEN: person(exitCode.failure),
  SETUP_FAILED: person(exitCode.failure),
  NODE_TOO_OLD: person(exitCode.failure),
  PLATFORM_UNSUPPORTED: person(exitCode.failure),
  SANDBOX_MISSING: person(exitCode.failure),
  INTERNAL: terminal(exitCode.failure),
} as const satisfies Record<string, Entry>;

export type ErrorCode = keyof typeof errorRegistry;

/** One thing that is wrong, where it is, and what to do about it. */
export type Fault = {
  code: ErrorCode;
  /** What happened, in one sentence. */
  message: string;
  /** file:line:column, or a JSON path such as `goal.improveBy`. */
  where?: string | undefined;
  /** What the caller can do next. */
  next?: string | undefined;
};

/** The path to a value as people write it: `fixers[0].patch`; empty for the whole. */
export const pathText = (path: readonly PropertyKey[]): string =>
  path.reduce<string>((text, key) => {
    if (typeof key === "number") return `${text}[${key}]`;
    return text === "" ? String(key) : `${text}.${String(key)}`;
  }, "");

/** An error that a user may see: stable code, place and next step; its faults are all that was found. */
export class QuestbusError extends Error {
  override readonly name = "QuestbusError";
  readonly faults: readonly Fault[];

  constructor(first: Fault, ...rest: Fault[]) {
    super(first.message);
    this.faults = [first, ...rest];
  }

  get code(): ErrorCode {
    return (this.faults[0] as Fault).code;
  }

  get exit(): number {
    return errorRegistry[this.code].exit;
  }

  get retryable(): boolean {
    return errorRegistry[this.code].class === "retryable";
  }
}

/** A fault with its place, as a dead letter keeps it. */
export const faultLine = ({ where, message }: Pick<Fault, "where" | "message">): string =>
  where ? `${where}: ${message}` : message;

/** The faults of any thrown value: a `QuestbusError`'s own, else one `INTERNAL`. */
export function faultsOf(error: unknown): readonly Fault[] {
  if (error instanceof QuestbusError) return error.faults;
  const message = error instanceof Error ? error.message : String(error);
  return [{ code: "INTERNAL", message, next: "please report this with the command you ran" }];
}
