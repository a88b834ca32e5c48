import { type JournalEvent, limit, type Phase, type Verb } from "@questbus/protocol";
import { approvalProblems } from "./approval-invariant.ts";
import { turnProblems } from "./turn-invariant.ts";

/**
 * What must hold of a journal, whatever was killed, lost or repeated while it was written. Pure: rows and answers in,
 * what is wrong with them out.
 */
export type Answered = { id: string; verb: Verb; yes: boolean };

export function journalProblems(rows: readonly JournalEvent[]): string[] {
  return [
    ...gaps(rows),
    ...repeatedEffects(rows),
    ...writesUnderOldEpochs(rows),
    ...writesAfterTheEnd(rows),
    ...endings(rows),
    ...tooManyPasses(rows),
    ...begunWhilePaused(rows),
    ...askProblems(rows),
    ...approvalProblems(rows),
    ...turnProblems(rows),
  ];
}

/** What was answered with yes is in the journal, and nothing else is. `effects`: the commands that left a row there. */
export function answerProblems(answered: readonly Answered[], effects: ReadonlySet<string>): string[] {
  return answered.flatMap(({ id, verb, yes }) => {
    if (yes === effects.has(id)) return [];
    return [
      yes ? `${verb} ${id} was answered, and no row is its effect` : `${verb} ${id} was refused, and done`,
    ];
  });
}

/**
 * The commands whose effect these rows are: the record of a refusal is none, nor is what begins with a breach of a
 * conversation's rules.
 */
export function effectsIn(rows: readonly JournalEvent[]): string[] {
  const first = new Map<string, JournalEvent["type"]>();
  for (const { type, command } of rows)
    if (command !== null && type !== "command.refused" && !first.has(command)) first.set(command, type);
  return [...first].flatMap(([command, type]) => (type === "turn.breached" ? [] : command));
}

const gaps = (rows: readonly JournalEvent[]): string[] =>
  rows.flatMap((row, at) => {
    const before = rows[at - 1];
    return before && row.seq !== before.seq + 1 ? [`row ${row.seq} follows row ${before.seq}`] : [];
  });

/**
 * The rows of one command stand together: they were written by one transaction, once. What counts failures may stand between;
 * and a monitor asks how it is now: one that comes again takes the turn that is its agent's by then.
 */
function repeatedEffects(rows: readonly JournalEvent[]): string[] {
  const lastOf = new Map<string, { at: number; seq: number }>();
  return rows
    .filter(({ type }) => !type.startsWith("breaker.") && type !== "turn.taken")
    .flatMap((row, at) => {
      if (row.command === null || isRefusedEachTime(row) || isPutOff(row)) return [];
      const before = lastOf.get(row.command);
      lastOf.set(row.command, { at, seq: row.seq });
      return before && before.at !== at - 1
        ? [`command ${row.command} had an effect in row ${before.seq}, and again in row ${row.seq}`]
        : [];
    });
}

/**
 * What is refused again when it comes again, and recorded each time: outcomes of one report on asks are refused each for
 * itself, and of the other verbs no answer is kept.
 */
const refusedEachTime = ["report", "renew", "requests", "progress", "monitor", "read", "recall"];

const isRefusedEachTime = (row: JournalEvent): boolean =>
  row.type === "command.refused" && refusedEachTime.includes(row.body.verb);

/** What came in safe mode is sent again as the same command, and has its effect then. */
const isPutOff = (row: JournalEvent): boolean =>
  row.type === "command.refused" && row.body.code === "SAFE_MODE";

type Held = { epoch: number; held: boolean };

function writesUnderOldEpochs(rows: readonly JournalEvent[]): string[] {
  const held = new Map<string, Held>();
  const stale = (row: JournalEvent, assignment: string, epoch: number): string[] => {
    const now = held.get(assignment);
    return now?.held && now.epoch === epoch
      ? []
      : [`row ${row.seq}: ${row.type} of ${assignment} under epoch ${epoch}, which holds no lease`];
  };
  return rows.flatMap((row) => {
    switch (row.type) {
      case "assignment.claimed": {
        const { assignment, epoch } = row.body;
        const before = held.get(assignment);
        held.set(assignment, { epoch, held: true });
        if (before?.held) return [`row ${row.seq}: ${assignment} was claimed while it was held`];
        return before && epoch <= before.epoch ? [`row ${row.seq}: epoch ${epoch} is not a new one`] : [];
      }
      case "assignment.noted":
        return stale(row, row.body.assignment, row.body.epoch);
      case "task.reported":
      case "assignment.released":
      case "lease.expired": {
        const { assignment, epoch } = row.type === "task.reported" ? row.body.report : row.body;
        const found = stale(row, assignment, epoch);
        held.set(assignment, { epoch, held: false });
        return found;
      }
      // A pass that is cut, by its deadline or by a cancellation, takes every lease of its quest back.
      case "pass.judged":
      case "quest.ended":
        for (const [assignment, { epoch }] of held)
          if (assignment.startsWith(`${row.quest}.`)) held.set(assignment, { epoch, held: false });
        return [];
      default:
        return [];
    }
  });
}

/** Only refusals name a quest that has ended. */
function writesAfterTheEnd(rows: readonly JournalEvent[]): string[] {
  const ended = new Set<string>();
  return rows.flatMap((row) => {
    if (row.quest === null) return [];
    const problem =
      ended.has(row.quest) && row.type !== "command.refused"
        ? [`row ${row.seq}: ${row.type} of ${row.quest}, which had ended`]
        : [];
    if (row.type === "quest.ended") ended.add(row.quest);
    return problem;
  });
}

/** A quest is accepted with one integration, and no other quest has any. */
function endings(rows: readonly JournalEvent[]): string[] {
  const integrated = new Map<string, number>();
  return rows.flatMap((row) => {
    if (row.quest === null) return [];
    if (row.type === "change.integrated") integrated.set(row.quest, (integrated.get(row.quest) ?? 0) + 1);
    if (row.type !== "quest.ended") return [];
    const times = integrated.get(row.quest) ?? 0;
    const wanted = row.body.ending === "accepted" ? 1 : 0;
    return times === wanted ? [] : [`${row.quest} ended as ${row.body.ending} with ${times} integrations`];
  });
}

/** No more passes than the quest's budget, and what an arbiter granted. */
function tooManyPasses(rows: readonly JournalEvent[]): string[] {
  const left = new Map<string, number>();
  return rows.flatMap((row) => {
    if (row.quest === null) return [];
    const now = left.get(row.quest) ?? 0;
    if (row.type === "quest.submitted")
      left.set(row.quest, row.body.document.budget?.passes ?? limit.passesMax);
    if (row.type === "ruling.made" && row.body.decision === "retry") left.set(row.quest, now + 1);
    if (row.type !== "pass.started") return [];
    left.set(row.quest, now - 1);
    return now > 0 ? [] : [`row ${row.seq}: pass ${row.body.pass} of ${row.quest} is one too many`];
  });
}

type Asked = Held & { agent: string; phases: Phase[]; isOver: boolean };

/** An ask is submitted once by a command, held under a new epoch each time, reported by its holder, each phase once. */
function askProblems(rows: readonly JournalEvent[]): string[] {
  const asks = new Map<string, Asked>();
  const commands = new Set<string>();
  const problem = (row: JournalEvent, id: string, what: string): string[] => [
    `row ${row.seq}: ${row.type} of ${id}: ${what}`,
  ];
  const step = (row: JournalEvent, id: string, epoch: number | null): string[] => {
    const ask = asks.get(id);
    if (!ask) return problem(row, id, "was never asked");
    if (ask.isOver) return problem(row, id, "had ended");
    if (row.type === "ask.claimed") {
      const isNew = !ask.held && epoch !== null && epoch > ask.epoch;
      asks.set(id, { ...ask, held: true, epoch: epoch ?? 0, agent: row.actor.name });
      return isNew
        ? []
        : problem(row, id, `epoch ${epoch} after ${ask.epoch}, ${ask.held ? "held" : "free"}`);
    }
    if (row.type === "ask.ended") {
      asks.set(id, { ...ask, isOver: true });
      return [];
    }
    if (!ask.held || ask.epoch !== epoch) return problem(row, id, `epoch ${epoch} holds no lease`);
    if (row.type === "ask.returned") {
      asks.set(id, { ...ask, isOver: row.body.ends });
      return row.actor.name === ask.agent ? [] : problem(row, id, `returned to ${row.actor.name}`);
    }
    if (row.type !== "ask.reported") {
      asks.set(id, { ...ask, held: false });
      return [];
    }
    const [phase, ...phases] = ask.phases;
    asks.set(id, { ...ask, phases, isOver: phases.length === 0 || row.body.fault !== null });
    if (row.actor.name !== ask.agent) return problem(row, id, `reported by ${row.actor.name}`);
    return row.body.phase === phase ? [] : problem(row, id, `${row.body.phase} in the place of ${phase}`);
  };
  return rows.flatMap((row) => {
    switch (row.type) {
      case "ask.submitted": {
        const { ask, phases } = row.body;
        const isAgain = asks.has(ask) || commands.has(row.command ?? ask);
        asks.set(ask, { held: false, epoch: 0, agent: "", phases, isOver: false });
        commands.add(row.command ?? ask);
        return isAgain ? problem(row, ask, "was submitted before") : [];
      }
      case "ask.claimed":
      case "ask.expired":
        return row.body.asks.flatMap(({ ask, epoch }) => step(row, ask, epoch));
      case "ask.reported":
      case "ask.returned":
      case "ask.released":
        return step(row, row.body.ask, row.body.epoch);
      case "ask.ended":
        return step(row, row.body.ask, null);
      default:
        return [];
    }
  });
}

/** Nothing of a quest that is halted is given out, and no pass of it begins; a role that is paused gets nothing. */
function begunWhilePaused(rows: readonly JournalEvent[]): string[] {
  const halted = new Set<string>();
  let paused: readonly string[] = [];
  return rows.flatMap((row) => {
    if (row.type === "stack.paused" || row.type === "stack.resumed")
      paused = row.body.pauses.map(({ scope }) => scope);
    if (row.type === "quest.halted" && row.quest) halted.add(row.quest);
    // One that waits for an arbiter has nothing to be halted.
    const goesOn = row.type === "quest.continued" || row.type === "quest.escalated";
    if (goesOn && row.quest) halted.delete(row.quest);
    const isStart = row.type === "assignment.claimed" || row.type === "pass.started";
    const isHalted = isStart && halted.has(row.quest ?? "");
    const isTaken = row.type === "assignment.claimed" || row.type === "ask.claimed";
    const isPaused = isTaken && (paused.includes("all") || paused.includes(row.actor.role));
    return isHalted || isPaused
      ? [`row ${row.seq}: ${row.type} of ${row.quest ?? "no quest"} while paused`]
      : [];
  });
}
