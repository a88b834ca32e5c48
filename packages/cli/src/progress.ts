import { applyEvent, hotLine, type QuestState, stageOf, stages, stepOf, watchFinding } from "@questbus/core";
import {
  type EventBody,
  type HeldProgress,
  type JournalEvent,
  limit,
  type PauseScope,
  plural,
  type Report,
} from "@questbus/protocol";
import { progressText } from "./held.ts";
import { isWatched, note, paintError, redraw, textLines } from "./output.ts";
import { candidateHint, outcomeText } from "./summary.ts";
import { scopeOption, scopeText } from "./withheld.ts";

/**
 * A run as a person sees it: one line for each thing a role did, the verdict of each pass, and on a terminal one line
 * that lives while a role is at work. Writes to stderr only.
 */
export type Progress = {
  /** Shows an event; with `quiet`, only remembers what it did. */
  show(event: JournalEvent, quiet?: boolean): void;
  /** What agents at work said last, for the line that lives. */
  told(held: readonly HeldProgress[]): void;
  stop(): void;
};

const doing: Record<Report["task"], string> = {
  plan: "reads the plan",
  fitness: "looks at the machine",
  "base-suite": "runs the suite on the last known-good tree",
  "base-measure": "measures the last known-good tree",
  choose: "chooses a candidate",
  separate: "separates flaky tests from failing ones",
  prepare: "prepares a clean worktree",
  produce: "produces the candidate",
  review: "holds the candidate against the plan",
  suite: "runs the suite on the candidate",
  gate: "measures base and candidate in pairs",
  guard: "checks the guards",
  settle: "settles the workspace",
};

const frames = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
const frameMs = 100;

export function openProgress(): Progress {
  const live = openLiveLine();
  const states = new Map<string, QuestState>();
  let shown: { assignment: string; text: string } | null = null;
  return {
    told(held) {
      const found = held.find(({ assignment }) => assignment === shown?.assignment);
      if (found && shown) live.say(`${shown.text} (${progressText(found)})`);
    },
    show(event, quiet = false) {
      const before = event.quest ? (states.get(event.quest) ?? null) : null;
      const state = applyEvent(before, event);
      if (state) states.set(state.id, state);
      if (quiet) return;
      const lines = state
        ? [linesOf(event, state), stageLine(before, state), hotOf(event)]
        : [stackLine(event)];
      live.clear();
      note(...lines.flatMap((each) => each ?? []));
      const working = state && event.type === "assignment.claimed" ? event.body : null;
      shown = null;
      if (!working || !state?.task) return;
      shown = { assignment: working.assignment, text: doing[state.task] };
      live.set(`${column("", 9)}${column(event.actor.role, 12)}`, `${shown.text} ...`);
    },
    stop: () => live.clear(),
  };
}

const column = (text: string, width: number): string => text.padEnd(width);

function linesOf(event: JournalEvent, state: QuestState): string | string[] | null {
  switch (event.type) {
    case "quest.submitted":
      return ["", `${paintError("bold", `quest ${state.id}`)}  ${state.spec.title}`];
    case "pass.started":
      return paintError(
        "bold",
        `pass ${event.body.pass} of ${state.assignments.ops.machine.context.passesMax}`,
      );
    case "task.reported":
      return reportLines(event.body.report, event.actor.role);
    case "candidate.awaited":
      return waitLines(event.body, state);
    case "turn.taken":
    case "turn.answered":
    case "turn.breached":
      return turnLine(event);
    case "candidate.supplied":
      return `  ${paintError("dim", column("fix", 9))}${column(event.actor.name, 12)}… supplied ${event.body.supplied.name}`;
    case "pass.judged":
      return verdictLines(event.body);
    case "good.moved":
      return `  ${paintError("green", "kept")}: last known-good is now tree ${event.body.tree.slice(0, 12)}`;
    case "assignment.noted":
      return `  ${paintError("dim", column(state.task ? stepOf(state.task).phase : "", 9))}${column(event.actor.role, 12)}… ${event.body.text}`;
    case "lease.expired":
      return `  ${paintError("yellow", "lease over")}: ${event.body.assignment}: ${event.body.reason}; its work is offered again`;
    case "command.refused":
      return `  ${paintError("yellow", "refused")}: ${event.actor.name}: ${event.body.code}: ${event.body.message}`;
    case "quest.escalated":
      return `${paintError(["bold", "yellow"], "escalated")} (${event.body.escalation}): ${event.body.detail}`;
    case "ruling.made":
      return `${paintError("bold", "ruling")}: ${event.body.decision}, by ${event.actor.name}: ${event.body.reason}`;
    case "change.integrated":
      return `  ${paintError("green", "integrated")}: branch ${event.body.branch}, commit ${event.body.commit.slice(0, 12)}`;
    case "approval.opened":
      return approvalLines(event.body);
    case "approval.granted":
      return `  ${paintError("green", "approved")}: ${event.body.approval}, by ${event.actor.name}${event.body.reason ? `: ${event.body.reason}` : ""}`;
    case "approval.denied":
      return `  ${paintError("yellow", "denied")}: ${event.body.approval}, by ${event.actor.name}: ${event.body.reason}`;
    case "approval.expired":
      return `  ${paintError("yellow", "denied")}: ${event.body.approval}: nobody decided in time`;
    case "quest.paused":
    case "quest.resumed":
      return pauseLine(event, state.id);
    case "quest.halted":
      return `  ${paintError("yellow", "halted")}: ${scopeText(event.body.scope as PauseScope)} is paused: ${event.body.why}`;
    case "quest.continued":
      return `  ${paintError("green", "goes on")} where it stood`;
    case "quest.ended":
      return state.spec.watch
        ? paintError("bold", outcomeText[watchFinding(state).outcome])
        : endLine(event.body);
    default:
      return null;
  }
}

const approvalLines = ({ approval, before, why }: EventBody["approval.opened"]): string[] => [
  `  ${paintError("yellow", before === null ? "asks for an approval" : "waits for an approval")}: ${why}`,
  `    questbus approvals show ${approval}`,
  `    questbus approvals grant ${approval}`,
];

function stackLine(event: JournalEvent): string | null {
  if (event.type !== "stack.paused" && event.type !== "stack.resumed") return null;
  return pauseLine(event, event.body.scope);
}

function pauseLine(
  event: Extract<JournalEvent, { type: `${string}.paused` | `${string}.resumed` }>,
  scope: PauseScope,
): string {
  const said = `${scopeText(scope)}, by ${event.actor.name}`;
  if (!("why" in event.body)) return `${paintError(["bold", "green"], "resumed")}: ${said}`;
  return `${paintError(["bold", "yellow"], "paused")}: ${said}: ${event.body.why}; go on: questbus resume ${scopeOption(scope)}`;
}

/** A stage that has changed; the first one begins with the first pass. */
function stageLine(before: QuestState | null, state: QuestState): string | null {
  const now = stageOf(state);
  const begins = before?.passes.length === 0 && state.passes.length === 1;
  if (!before || (!begins && stageOf(before) === now)) return null;
  return paintError("cyan", `  stage ${stages.indexOf(now) + 1} of ${stages.length}: ${now}`);
}

function hotOf(event: JournalEvent): string | null {
  if (event.type !== "task.reported" || event.body.report.task !== "base-measure") return null;
  const { result } = event.body.report;
  const line = result?.analysis ? (hotLine(result.analysis) ?? result.analysis.notes[0]) : null;
  return line ? `  ${column("", 21)}${paintError("dim", line)}` : null;
}

function turnLine(
  event: Extract<JournalEvent, { type: "turn.taken" | "turn.answered" | "turn.breached" }>,
): string {
  const head = `  ${paintError("dim", column("fix", 9))}`;
  const { turn } = event.body;
  if (event.type === "turn.breached")
    return `${head}${paintError("yellow", event.body.code)}: ${event.body.by}, turn ${turn}: ${event.body.message}`;
  const who = `${event.actor.role}/${event.actor.name}`;
  if (event.type === "turn.taken") return `${head}… ${who} has turn ${turn}`;
  const { status, message } = event.body.answer;
  const [first = ""] = message.split("\n", 1);
  return `${head}${who}: ${status}: ${first.slice(0, limit.noteCharsMax)}`;
}

/** What a pass waits for, and how to give it. */
function waitLines({ fixer, refused }: EventBody["candidate.awaited"], state: QuestState): string[] {
  const wanted = state.spec.fixers[fixer];
  const ask = wanted && "ask" in wanted && wanted.ask ? `: ${wanted.ask}` : "";
  const again = refused
    ? textLines(`  ${paintError("yellow", "not taken")}: ${refused.code}: ${refused.message}`, "      ")
    : [];
  if (wanted?.kind === "turns")
    return [
      ...again,
      `  ${paintError("yellow", "its agents talk")}${ask}`,
      `    questbus conversation ${state.id}`,
    ];
  return [
    ...again,
    `  ${paintError("yellow", "waits for a candidate")}${ask}`,
    `    ${candidateHint(state)}`,
  ];
}

function reportLines(report: Report, role: string): string[] {
  const good = !report.fault && report.signOff?.vote !== "no";
  const doubtful = report.task === "base-suite" && report.result?.passed === false;
  const mark = doubtful
    ? paintError("yellow", "!")
    : good
      ? paintError("green", "✓")
      : paintError("red", "✗");
  const signed = report.signOff
    ? paintError(good ? "green" : "red", ` [sign-off: ${report.signOff.vote}]`)
    : "";
  const phase = paintError("dim", column(report.phase, 9));
  return textLines(`  ${phase}${column(role, 12)}${mark} ${report.summary}${signed}`, "      ");
}

function verdictLines({ verdict }: EventBody["pass.judged"]): string[] {
  const style = verdict.verdict === "ACCEPT" || verdict.verdict === "KEEP" ? "green" : "yellow";
  const pairs =
    verdict.pairs > 0 ? paintError("dim", ` (${plural(verdict.pairs, "pair")}, E ${figure(verdict.e)})`) : "";
  return textLines(
    `  ${paintError(["bold", style], verdict.verdict)}: ${verdict.reasons[0]}${pairs}`,
    "      ",
  );
}

const figure = (value: number): string => (value >= 1000 ? value.toExponential(1) : value.toFixed(2));

/** A fault is told in full where the command ends, so here its code will do. */
function endLine({ ending, reason, fault }: EventBody["quest.ended"]): string {
  return `${paintError(["bold", ending === "accepted" ? "green" : "yellow"], ending)}: ${fault?.code ?? reason}`;
}

type LiveLine = {
  set(head: string, text: string): void;
  /** Other words in the line that is there. */
  say(text: string): void;
  clear(): void;
};

/** One line at the bottom of a terminal, redrawn with the time that has passed; nothing at all elsewhere. */
function openLiveLine(): LiveLine {
  if (!isWatched()) return { set: () => {}, say: () => {}, clear: () => {} };
  let timer: NodeJS.Timeout | null = null;
  let words = "";
  const clear = (): void => {
    if (timer) clearInterval(timer);
    if (timer) redraw("");
    timer = null;
  };
  return {
    clear,
    say(text) {
      words = text;
    },
    set(head, text) {
      clear();
      words = text;
      const sinceMs = Date.now();
      let frame = 0;
      const draw = (): void => {
        const elapsed = ((Date.now() - sinceMs) / 1000).toFixed(0);
        redraw(`  ${head}${frames[frame++ % frames.length]} ${words} ${elapsed} s`);
      };
      timer = setInterval(draw, frameMs);
      timer.unref();
      draw();
    },
  };
}
