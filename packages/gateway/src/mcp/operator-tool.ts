import {
  type AskAnswer,
  approvalId,
  deadId,
  decision,
  escalationId,
  limit,
  pauseScope,
  pauseWhy,
  phase,
  questId,
  role,
} from "@questbus/protocol";
import { z } from "zod";
import { pageOfText } from "./result.ts";
import { anyJson, commandId, defineTool, idempotencyKey, page, send, type Tool } from "./tool.ts";

/** The tools of operators, arbiters and those who supply candidates. */

const reason = z.string().trim().min(1).max(limit.reasonCharsMax).describe("recorded");

const submitQuest = defineTool({
  name: "submit_quest",
  description: "Submit a quest file to the running stack. An unfinished quest of the same content goes on.",
  hints: { idempotent: true },
  verb: "submit",
  input: {
    file: z.string().min(1).describe("absolute path"),
    accept_detectable: z.boolean().default(false).describe("raise a goal below what the budget can show"),
  },
  async run({ file, accept_detectable }, call) {
    return {
      data: await send(call, "submit", await call.gateway.hands.readSubmission(file, accept_detectable)),
    };
  },
});

const cancelQuest = defineTool({
  name: "cancel_quest",
  description: "End a quest for good; its target stays as it was.",
  hints: { destructive: true, idempotent: true },
  verb: "cancel",
  input: { quest: questId, reason, idempotency_key: idempotencyKey },
  async run({ quest, reason: why, idempotency_key: key }, { gateway }) {
    const cancel = { quest, reason: why };
    const id = commandId(gateway.who, "cancel", cancel, key);
    return { data: await gateway.hands.cancel(await gateway.bus(), cancel, id) };
  },
});

const askRole = defineTool({
  name: "ask_role",
  description:
    "Ask an agent of a role something outside any quest. pending: call again with the same idempotency_key and wait on.",
  hints: {},
  verb: "ask",
  input: {
    role: role.optional().describe("chosen by the words of text by default"),
    text: z.string().trim().min(1).max(limit.askTextCharsMax),
    data: anyJson.optional(),
    phases: z.array(phase).min(1).default(["test"]),
    wait_ms: z.int().min(0).max(limit.claimWaitMsMax).default(20_000),
    idempotency_key: idempotencyKey,
  },
  async run({ role: named, text, data, phases, wait_ms: waitMs, idempotency_key: key }, call) {
    const to = named ? { role: named } : await call.gateway.hands.route(text);
    const asked = { ...to, text, data: data ?? null, phases, waitMs };
    const answer = (await send(call, "ask", asked, key)) as AskAnswer;
    return { data: named ? answer : { ...answer, ...to }, foreign: true };
  },
});

const scope = pauseScope.describe("quest id, role, all or safe-mode");

const pauseWork = defineTool({
  name: "pause",
  description: "Stop a quest, a role or everything for a while; what is held may be finished.",
  hints: { idempotent: true },
  verb: "pause",
  input: { scope, why: pauseWhy },
  run: async (data, call) => ({ data: await send(call, "pause", data) }),
});

const resumeWork = defineTool({
  name: "resume",
  description: "Go on with what was paused.",
  hints: { idempotent: true },
  verb: "resume",
  input: { scope },
  run: async (data, call) => ({ data: await send(call, "resume", data) }),
});

const listRequests = defineTool({
  name: "list_requests",
  description:
    "Wait for passes that want a candidate from outside: what is asked for, and the commit a patch has to fit.",
  hints: { readOnly: true },
  verb: "requests",
  input: { wait_ms: z.int().min(0).max(limit.claimWaitMsMax).default(0) },
  run: async ({ wait_ms: waitMs }, call) => ({
    data: await send(call, "requests", { waitMs }),
    foreign: true,
  }),
});

const supplyCandidate = defineTool({
  name: "supply_candidate",
  description: "Hand a candidate, as a unified diff against last known-good, to a pass that waits for one.",
  hints: {},
  verb: "supply",
  input: {
    quest: questId,
    pass: z.int().min(1).optional().describe("refused when another one waits"),
    name: z.string().trim().min(1).max(200),
    note: z.string().trim().min(1).max(limit.reasonCharsMax).optional(),
    patch: z.string().min(1).max(limit.suppliedPatchCharsMax),
    idempotency_key: idempotencyKey,
  },
  async run({ patch, note, idempotency_key: key, ...given }, call) {
    return { data: await send(call, "supply", { ...given, note: note ?? null, change: { patch } }, key) };
  },
});

const listDeadLetters = defineTool({
  name: "list_dead_letters",
  description: "List the newest messages that could not be read and were kept, each with its first fault.",
  hints: { readOnly: true },
  verb: "retry",
  input: { limit: z.int().min(1).max(100).default(20) },
  run: ({ limit: most }, { gateway }) => ({ data: gateway.reads.deadLetters(most), foreign: true }),
});

const settleDeadLetter = defineTool({
  name: "settle_dead_letter",
  description: "Read a dead letter again with its sender's authority (retry), or close it for good (drop).",
  hints: { destructive: true, idempotent: true },
  verb: "retry",
  input: {
    letter: deadId,
    way: z.enum(["retry", "drop"]),
    reason: reason.default("dropped by the operator"),
  },
  async run({ letter, way, reason: why }, call) {
    if (way === "retry") return { data: await send(call, "retry", { letter }), foreign: true };
    return { data: await send(call, "drop", { letter, reason: why }) };
  },
});

const listApprovals = defineTool({
  name: "list_approvals",
  description: "List the restricted changes that wait for an operator's word, oldest first.",
  hints: { readOnly: true },
  verb: "grant",
  input: page(20, 5),
  run({ cursor, limit: most }, { gateway }) {
    const open = gateway.reads.approvals();
    const from = cursor === undefined ? 0 : open.findIndex(({ approval }) => approval === cursor) + 1;
    const data = open.slice(from, from + most);
    return { data, foreign: true, nextCursor: from + most < open.length ? data.at(-1)?.approval : undefined };
  },
});

const readApproval = defineTool({
  name: "read_approval",
  description: "Read who asks for what and why, with the diff.",
  hints: { readOnly: true },
  verb: "grant",
  input: { approval: approvalId, cursor: z.string().regex(/^\d+$/).max(16).optional() },
  run: async ({ approval, cursor }, { gateway }) =>
    pageOfText(await gateway.reads.approval(approval), cursor),
});

const decideApproval = defineTool({
  name: "decide_approval",
  description: "Grant a restricted change, exactly as read_approval shows it, or deny it. Once and for good.",
  hints: { destructive: true, idempotent: true },
  verb: "grant",
  input: {
    approval: approvalId,
    decision: z.enum(["grant", "deny"]),
    reason,
    idempotency_key: idempotencyKey,
  },
  async run({ decision: way, idempotency_key: key, ...given }, call) {
    return { data: await send(call, way, given, key) };
  },
});

const rule = defineTool({
  name: "rule",
  description:
    "Rule on an escalation, once and for good: accept integrates what was proven, revert puts everything back, retry grants one more pass, abandon closes it.",
  hints: { destructive: true, idempotent: true },
  verb: "rule",
  input: {
    escalation: escalationId,
    decision,
    reason,
    guidance: z
      .string()
      .trim()
      .min(1)
      .max(limit.reasonCharsMax)
      .optional()
      .describe("with retry: what the next pass should know"),
    idempotency_key: idempotencyKey,
  },
  async run({ guidance, idempotency_key: key, ...given }, call) {
    return { data: await send(call, "rule", { ...given, guidance: guidance ?? null }, key) };
  },
});

export const operatorTools: readonly Tool[] = [
  submitQuest,
  cancelQuest,
  askRole,
  pauseWork,
  resumeWork,
  listRequests,
  supplyCandidate,
  listDeadLetters,
  settleDeadLetter,
  listApprovals,
  readApproval,
  decideApproval,
  rule,
];
