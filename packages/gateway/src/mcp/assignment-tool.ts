import {
  type AskReportAnswer,
  artifactRef,
  askId,
  askPhases,
  assignmentId,
  type ClaimAnswer,
  type CommandData,
  type Fault,
  limit,
  memoryKind,
  networkUsers,
  phase,
  QuestbusError,
  restrictedKind,
  signOff,
  statedShape,
  suspicion,
  type Task,
  taskResult,
} from "@questbus/protocol";
import { z } from "zod";
import { heldOf } from "./leases.ts";
import { pageOfText, resultCharsMax, type Told } from "./result.ts";
import { anyJson, type Call, defineTool, idempotencyKey, send, sendAndWait, type Tool } from "./tool.ts";

/** The tools of an agent that holds a role: claim, work, report. */

const assignment = z.union([assignmentId, askId]);
const heldAs = { assignment: z.string(), epoch: z.int().min(1).describe("as claimed") };
const holdMs = z
  .int()
  .min(limit.leaseMs)
  .max(limit.heldMsMax)
  .describe("how long the lease is kept for you without a word from you");

const why = z
  .strictObject({
    code: z.string().describe("such as SUITE_FAILED, BENCH_FAILED, MACHINE_UNFIT, INTERNAL"),
    message: z.string().max(limit.reasonCharsMax),
    next: z.string().max(limit.reasonCharsMax).optional(),
  })
  .optional();

const claimWaitMsUsual = 20_000;

const claim = defineTool({
  name: "claim_assignment",
  description:
    "Wait for work of your role. Answers: granted (one task: brief, result_schema, assignment, epoch); asked (questions outside any quest); none: call again. The lease is kept for you meanwhile.",
  hints: {},
  verb: "claim",
  input: {
    wait_ms: z.int().min(0).max(limit.claimWaitMsMax).default(claimWaitMsUsual),
    hold_ms: holdMs.default(limit.heldMs),
    asks: z
      .int()
      .min(0)
      .max(limit.asksClaimedMax)
      .default(1)
      .describe("questions taken where no task is offered; 0: none"),
    ask_phases: askPhases.optional().describe("of questions: only those in these phases"),
    idempotency_key: idempotencyKey,
  },
  async run({ wait_ms: waitMs, hold_ms: holdMs, asks, ask_phases: only, idempotency_key: key }, call) {
    const wanted = { waitMs, asks, ...(only ? { askPhases: only } : {}) };
    const claimed = claimFor(call, wanted, holdMs, key);
    call.leases.awaiting(claimed);
    return toldOf(await claimed);
  },
});

async function claimFor(
  call: Call,
  data: CommandData["claim"],
  holdMs: number,
  key: string | undefined,
): Promise<ClaimAnswer> {
  const [answer, last] = (await sendAndWait(call, "claim", data, key)) as [ClaimAnswer, ClaimAnswer | null];
  const given = heldOf(answer, holdMs);
  if (!call.signal.aborted) {
    for (const each of given) call.leases.keep(each);
    return answer;
  }
  // Nobody reads this. Who has a key can ask for it again for as long as the lease lasts; else it is given back.
  if (key !== undefined) for (const each of given) call.leases.keep({ ...each, holdMs: 0 });
  const unread = [...(key === undefined ? given : []), ...(last ? heldOf(last, 0) : [])];
  for (const each of unread) await release(call, each, "the MCP client gave the call up");
  return { status: "none" };
}

const resultSchemas = new Map<Task, object>();

/** What `submit_report` takes as the result of that task. */
function resultSchema(task: Task): object {
  const known = resultSchemas.get(task);
  if (known) return known;
  const { $schema, ...made } = z.toJSONSchema(taskResult[task], { io: "input" });
  resultSchemas.set(task, made);
  return made;
}

function toldOf(answer: ClaimAnswer): Told {
  if (answer.status === "none") return { data: answer };
  if (answer.status === "asked") return { data: { status: "asked", asks: answer.asks }, foreign: true };
  const { assignment: id, epoch, role, brief } = answer.grant;
  const { quest, pass, phase: now, task } = brief;
  const chars = JSON.stringify(brief).length;
  const whole =
    chars <= resultCharsMax ? { brief } : { brief_chars: chars, next: "call read_brief for the brief" };
  const head = { status: "granted", assignment: id, epoch, role, quest, pass, phase: now, task };
  return {
    data: { ...head, result_schema: resultSchema(task), ...whole },
    foreign: true,
  };
}

const readBrief = defineTool({
  name: "read_brief",
  description: "Read the brief of a task that you hold, page by page.",
  hints: { readOnly: true },
  verb: "report",
  input: { ...heldAs, cursor: z.string().max(16).regex(/^\d+$/).optional() },
  run({ assignment: id, epoch, cursor }, { leases }) {
    const grant = leases.touch(id, epoch)?.grant;
    if (!grant)
      throw notHeld(
        id,
        "call claim_assignment with the idempotency_key you claimed it with, or for the next",
      );
    return pageOfText(grant.brief, cursor);
  },
});

const renew = defineTool({
  name: "renew_lease",
  description: "Keep a lease for longer, and learn whether you still hold it.",
  hints: { idempotent: true },
  verb: "renew",
  input: { ...heldAs, hold_ms: holdMs.optional() },
  async run({ assignment: id, epoch, hold_ms }, call) {
    const given = { assignment: idOf(id), epoch };
    await whileHeld(call, given, () => send(call, "renew", given));
    const held = call.leases.touch(id, epoch, hold_ms);
    if (!held) call.leases.keep({ ...given, holdMs: hold_ms ?? limit.heldMs, grant: null });
    return { data: { status: "held", for_ms: held?.holdMs ?? hold_ms ?? limit.heldMs } };
  },
});

const progress = defineTool({
  name: "report_progress",
  description: "Say in one line what you do now, for people who watch. Keeps the lease, too.",
  hints: {},
  verb: "note",
  input: { ...heldAs, text: z.string().trim().min(1).max(limit.noteCharsMax) },
  async run({ assignment: id, epoch, text }, call) {
    const given = { assignment: id, epoch };
    await whileHeld(call, given, () => send(call, "note", { ...given, text }));
    call.leases.touch(id, epoch);
    return { data: { status: "stored" } };
  },
});

const submitReport = defineTool({
  name: "submit_report",
  description:
    "Report a task, and give its lease up. Either result, in the form of result_schema, or fault: why it could not be done. A review, suite, gate or guard also needs sign_off.",
  hints: { idempotent: true },
  verb: "report",
  input: {
    ...heldAs,
    summary: z.string().min(1).max(400).describe("one line: what you found"),
    result: z.looseObject({}).optional(),
    fault: why,
    sign_off: signOff.optional(),
    suspicions: z.array(suspicion).max(limit.suspicionsMax).default([]).describe("what looks like gaming"),
    artifacts: z.array(artifactRef).max(64).default([]).describe("of store_artifact"),
    idempotency_key: idempotencyKey,
  },
  async run({ sign_off, idempotency_key: key, ...given }, call) {
    const { assignment: id, epoch, result = null } = given;
    const head = turnOf(call, id, epoch);
    const report = { ...given, ...head, result, fault: given.fault ?? null, signOff: sign_off ?? null };
    await whileHeld(call, given, () => send(call, "report", report as CommandData["report"], key));
    call.leases.forget(id, epoch);
    return { data: { status: "stored", next: "call claim_assignment for the next task" } };
  },
});

/** What the report is about: it is known where it was claimed, and in the state; the epoch fences it. */
function turnOf({ leases, gateway }: Call, id: string, epoch: number) {
  const brief = leases.touch(id, epoch)?.grant?.brief;
  if (brief) return { pass: brief.pass, phase: brief.phase, task: brief.task };
  const row = gateway.reads.assignment(id);
  if (!row?.task || !row.phase) throw notHeld(id, "call claim_assignment for the next task");
  return { pass: row.pass, phase: row.phase, task: row.task };
}

const answerAsk = defineTool({
  name: "answer_ask",
  description:
    "Answer one phase of a question that you claimed: a result, or a fault; fault CLARIFICATION_WANTED asks back. status next: go on with that phase; clarification: answer it again with what is missing.",
  hints: { idempotent: true },
  verb: "report",
  input: {
    ...heldAs,
    phase,
    result: anyJson.optional(),
    certainty: statedShape.certainty.describe("how sure the result is; below 0.95 name a source"),
    sources: statedShape.sources.describe("path:line, URL, $ command or sha256:HASH"),
    fault: why,
    idempotency_key: idempotencyKey,
  },
  async run({ assignment: id, epoch, phase: now, result, fault, idempotency_key: key, ...said }, call) {
    const outcome = {
      assignment: id,
      epoch,
      phase: now,
      result: result ?? null,
      fault: (fault as Fault | undefined) ?? null,
      ...said,
    };
    if (!askId.safeParse(id).success)
      throw notHeld(id, "take assignment and epoch as claim_assignment gave them");
    const given = { assignment: id, epoch };
    const answer = (await whileHeld(call, given, () =>
      send(call, "report", { task: "ask", asks: [outcome] }, key),
    )) as AskReportAnswer;
    const [stands] = answer.asks;
    if (stands?.status === "refused") {
      call.leases.forget(id, epoch);
      throw new QuestbusError(stands.fault);
    }
    if (stands?.status === "next" || stands?.status === "clarification") call.leases.touch(id, epoch);
    else call.leases.forget(id, epoch);
    return { data: stands };
  },
});

const releaseAssignment = defineTool({
  name: "release_assignment",
  description: "Give a task back undone, so that another agent of the role has it at once.",
  hints: { idempotent: true },
  verb: "release",
  input: { ...heldAs, reason: z.string().trim().min(1).max(limit.reasonCharsMax) },
  async run({ assignment: id, epoch, reason }, call) {
    await release(call, { assignment: id, epoch }, reason);
    return { data: { status: "released" } };
  },
});

const askApproval = defineTool({
  name: "ask_approval",
  description:
    "Ask an operator for a restricted operation. Call again with the same words to learn how it stands.",
  hints: { idempotent: true },
  verb: "approval",
  input: {
    ...heldAs,
    kind: restrictedKind,
    what: z.string().trim().min(1).max(limit.reasonCharsMax),
    why: z.string().trim().min(1).max(limit.reasonCharsMax),
    users: z.array(z.enum(networkUsers)).min(1).optional().describe("with network: whose commands"),
  },
  async run(given, call) {
    const answer = await whileHeld(call, given, () => send(call, "approval", given));
    call.leases.touch(given.assignment, given.epoch);
    return { data: answer };
  },
});

const storeArtifact = defineTool({
  name: "store_artifact",
  description: "Store a text as evidence; the answer is what a report names it by.",
  hints: { idempotent: true },
  verb: "report",
  input: { kind: artifactRef.shape.kind, text: z.string().max(limit.outputBytesMax) },
  run: async ({ kind, text }, { gateway }) => ({ data: await gateway.hands.putArtifact(kind, text) }),
});

const rememberTool = defineTool({
  name: "remember",
  description: "Keep a few sentences for later quests on this project (team, model: on any).",
  hints: { idempotent: true },
  // The tool is for those who hold assignments: an operator has the command line.
  verb: "recall",
  input: {
    ...heldAs,
    kind: memoryKind,
    text: z.string().trim().min(1).max(limit.memoryCharsMax),
    tags: z.array(z.string().trim().min(1).max(limit.memoryTagCharsMax)).max(limit.memoryTagsMax).default([]),
  },
  run: async (data, call) => ({ data: await whileHeld(call, data, () => send(call, "remember", data)) }),
});

const recallTool = defineTool({
  name: "recall",
  description: "Find by words what earlier quests learned; it counts as given to you.",
  hints: {},
  verb: "recall",
  input: {
    ...heldAs,
    query: z.string().trim().min(1).max(limit.memoryCharsMax),
    kind: memoryKind.optional(),
    limit: z.int().min(1).max(limit.memoriesFoundMax).default(limit.memoriesGivenMax),
  },
  run: async (data, call) => ({
    data: await whileHeld(call, data, () => send(call, "recall", data)),
    foreign: true,
  }),
});

type Named = { assignment: string; epoch: number };

async function release(call: Call, { assignment: id, epoch }: Named, reason: string): Promise<void> {
  const given = { assignment: idOf(id), epoch };
  await whileHeld(call, given, () => send(call, "release", { ...given, reason }));
  call.leases.forget(id, epoch);
}

/** A refusal that ends the lease ends its keeping. */
async function whileHeld<T>(
  call: Call,
  { assignment: id, epoch }: Named,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const isLost = error instanceof QuestbusError && lost.some((code) => code === error.code);
    if (isLost) call.leases.forget(id, epoch);
    throw error;
  }
}
const lost = ["LEASE_STALE", "QUEST_ENDED", "ASSIGNMENT_NOT_FOUND"] as const;

function idOf(text: string): string {
  const read = assignment.safeParse(text);
  if (read.success) return read.data;
  throw notHeld(text, "take assignment and epoch as claim_assignment gave them");
}

const notHeld = (id: string, next: string): QuestbusError =>
  new QuestbusError({
    code: "ASSIGNMENT_NOT_FOUND",
    message: `nothing of ${id} is held here`,
    where: "assignment",
    next,
  });

export const assignmentTools: readonly Tool[] = [
  claim,
  readBrief,
  renew,
  progress,
  storeArtifact,
  askApproval,
  submitReport,
  answerAsk,
  releaseAssignment,
  rememberTool,
  recallTool,
];
