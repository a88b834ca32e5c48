/**
 * Bugs planted on purpose, each in one place of the product: a simulation that does not find them would prove nothing.
 * `from` stands in the file once; a change of the product that moves it fails the list's own test.
 */
export type Mutation = { name: string; file: string; from: string; to: string };

const orchestrator = "packages/orchestrator/src/orchestrator.ts";
const publisher = "packages/orchestrator/src/publisher.ts";
const desk = "packages/orchestrator/src/desk.ts";
const questBook = "packages/orchestrator/src/quest-book.ts";
const projection = "packages/orchestrator/src/projection.ts";
const decide = "packages/core/src/quest/decide.ts";
const claim = "packages/core/src/quest/claim.ts";
const machine = "packages/core/src/assignment/machine.ts";
const client = "packages/bus/src/client.ts";
const askDecide = "packages/core/src/ask/decide.ts";
const askDesk = "packages/orchestrator/src/ask-desk.ts";
const pauseDesk = "packages/orchestrator/src/pause-desk.ts";
const withheld = "packages/core/src/pause/withheld.ts";
const journal = "packages/store/src/journal.ts";
const approval = "packages/core/src/approval/approval.ts";
const approvalDecide = "packages/core/src/approval/decide.ts";
const follow = "packages/core/src/quest/follow.ts";
const turnDecide = "packages/core/src/turn/decide.ts";
const turnState = "packages/core/src/turn/state.ts";

export const mutations: readonly Mutation[] = [
  {
    name: "a command that comes again is carried out again",
    file: orchestrator,
    from: "isOwnRecord(command) ? null : tx.answerOf(command.id);",
    to: "null as ReturnType<typeof tx.answerOf>;",
  },
  {
    name: "answers are not remembered",
    file: orchestrator,
    from: "tx.rememberAnswer(command.id, command.actor, answer, this.#desk.lastSeq);",
    to: "{}",
  },
  {
    name: "a report is answered before it is committed",
    file: orchestrator,
    from: "this.#queue.push({ command, atMs: this.#parts.time.nowMs() });",
    to: 'this.#queue.push({ command, atMs: this.#parts.time.nowMs() }); if (command.verb === "report") command.respond({ ok: true, seq: 0, data: {} });',
  },
  {
    name: "a transaction that failed stays in memory",
    file: orchestrator,
    from: "      if (begun) this.#desk.rollback();\n",
    to: "",
  },
  {
    name: "a timer is taken away and not carried out",
    file: orchestrator,
    from: "this.#desk.timer(timer.kind, timer.subject);",
    to: "",
  },
  {
    name: "claims that wait are granted nothing",
    file: orchestrator,
    from: "...this.#grantClaims(tx, taken), ",
    to: "",
  },
  {
    name: "rows count as published before they are",
    file: publisher,
    from: "await stream.publish(rows);",
    to: "store.transact((tx) => tx.setCursor(publishedCursor, last.seq)); await stream.publish(rows);",
  },
  {
    name: "a publication that failed counts as done",
    file: publisher,
    from: "await stream.publish(rows);",
    to: "await stream.publish(rows).catch(() => {});",
  },
  {
    name: "an old epoch may report",
    file: decide,
    from: 'held.status !== "leased" || held.epoch !== epoch ||',
    to: 'held.status !== "leased" ||',
  },
  {
    name: "a lease that ran out may report",
    file: decide,
    from: 'if (held.status !== "leased" || held.epoch !== epoch || held.agent !== context.actor.name) {',
    to: "if (held.epoch !== epoch) {",
  },
  {
    name: "a claim does not raise the epoch",
    file: claim,
    from: "epoch: assignment.epoch + 1,",
    to: "epoch: Math.max(1, assignment.epoch),",
  },
  {
    name: "what could not be stored is answered with yes",
    file: orchestrator,
    from: "return [...taken].map(({ command }) => ({ command, answer: refusal(error) }));",
    to: 'return [...taken].map(({ command }) => ({ command, answer: { ok: true, seq: 0, data: { status: "none", quest: "q-00000000" } } }));',
  },
  {
    name: "one pass more than the limit",
    file: machine,
    from: "context.pass < context.passesMax,",
    to: "context.pass <= context.passesMax,",
  },
  {
    name: "a lease has no timer",
    file: projection,
    from: 'case "assignment.claimed": {\n      const { assignment } = event.body;',
    to: 'case "assignment.claimed": {\n      const { assignment } = event.body;\n      if (assignment) break;',
  },
  {
    name: "an event is not projected",
    file: questBook,
    from: "projection.take(row, current);",
    to: 'if (row.type !== "assignment.claimed") projection.take(row, current);',
  },
  {
    name: "a caller takes silence for a yes",
    file: client,
    from: "if (final) throw final;",
    to: 'if (final) throw final; if (verb === "report") return { ok: true, seq: 0, data: {} };',
  },
  {
    name: "the head of the journal stands still",
    file: journal,
    from: "if (known && !isWritten) sql.run(",
    to: "if (known && !isWritten && known.seq % 7 > 0) sql.run(",
  },
  {
    name: "an ask that comes again is another ask",
    file: askDesk,
    from: "const id = askIdOf(actor, command);",
    to: "const id = askIdOf(actor, command + (this.#open.size % 2));",
  },
  {
    name: "an old epoch may report on an ask",
    file: askDecide,
    from: "state.epoch === epoch && state.agent === actor.name;",
    to: "state.agent === actor.name;",
  },
  {
    name: "the lease of an ask has no end",
    file: askDesk,
    from: 'this.#commit(decideExpireAsks(lost, "the lease was not renewed"), null);',
    to: "",
  },
  {
    name: "a new lease of an ask has the old epoch",
    file: askDecide,
    from: "asks: asks.map(({ id, epoch }) => ({ ask: id, epoch: epoch + 1 }))",
    to: "asks: asks.map(({ id, epoch }) => ({ ask: id, epoch: epoch || 1 }))",
  },
  {
    name: "a phase of an ask can be reported again",
    file: askDecide,
    from: "if (done.includes(phase)) return null;\n  }\n  const held = heldAsk(state, outcome, actor);\n  if (askPhase(held) !== phase)",
    to: "if (done.includes(phase) && !askPhase(state)) return null;\n  }\n  const held = heldAsk(state, outcome, actor);\n  if (askPhase(held) !== phase && !held.results.length)",
  },
  {
    name: "an answer that was sent back is sent back again when it comes again",
    file: askDecide,
    from: "if (!isOver(state) && returnOf(state, command)) return null;",
    to: "",
  },
  {
    name: "a paused role is given assignments",
    file: withheld,
    from: "paused(pauses, [...scopes, ...rolesNext(state)])",
    to: "paused(pauses, scopes)",
  },
  {
    name: "what was resumed stays halted",
    file: desk,
    from: "this.#commit(decideContinue(state, this.#context(orchestratorActor)), null);",
    to: "state;",
  },
  {
    name: "pauses are forgotten by a restart",
    file: pauseDesk,
    from: "this.#now = stackPauses(store);",
    to: "this.#now = [];",
  },
  {
    name: "an approval is decided again",
    file: approvalDecide,
    from: "if (openApprovals(state).includes(found) && !isOver) return found;",
    to: "if (found) return found;",
  },
  {
    name: "an approval is of any content",
    file: approval,
    from: "diff: candidate?.diff.sha256 ?? null,\n  });",
    to: "diff: null, ...{ tree: null } });",
  },
  {
    name: "an approval has no end",
    file: desk,
    from: 'if (kind === "approval") this.#approvals.expire(subject, orchestratorActor);',
    to: "",
  },
  {
    name: "who asks is told yes before anybody said it",
    file: approvalDecide,
    from: 'status: decision?.word ?? "open",',
    to: 'status: decision?.word ?? "granted",',
  },
  {
    name: "what was denied is asked for again",
    file: follow,
    from: 'if (known?.word === "denied") {',
    to: "if (known === undefined) {",
  },
  {
    name: "a lease that is over may ask for an approval",
    file: approvalDecide,
    from: "const held = heldAssignment(state, data.assignment, data.epoch, context);\n  const operations",
    to: 'const held = state.assignments[context.actor.role as "qa"] ?? heldAssignment;\n  const operations',
  },
  {
    name: "an answer that broke a rule moves the conversation on",
    file: turnDecide,
    from: "    breachOfSender(draft, fault);\n    return { draft, refused: new QuestbusError(fault) };",
    to: '    breachOfSender(draft, fault);\n    if (fault.code !== "TURN_FILES_WRONG") return { draft, refused: new QuestbusError(fault) };',
  },
  {
    name: "a turn has no end",
    file: desk,
    from: 'if (kind === "turn") this.turns.missed(quest);',
    to: "",
  },
  {
    name: "turns that go by are not counted",
    file: turnState,
    from: "missed: before.missed + 1",
    to: "missed: before.missed",
  },
  {
    name: "a turn that was freed has its time anew",
    file: turnDecide,
    from: "const untilMs = freed ? open.conversation.untilMs :",
    to: "const untilMs = freed ? context.nowMs + open.fixer.turnMs :",
  },
];

/** The file's text with the bug in it. */
export function mutate(text: string, { name, from, to }: Mutation): string {
  const parts = text.split(from);
  if (parts.length !== 2) throw new Error(`mutation "${name}": its place is there ${parts.length - 1} times`);
  return parts.join(to);
}
