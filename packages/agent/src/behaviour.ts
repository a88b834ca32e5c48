import type {
  Authority,
  Brief,
  FixerSpec,
  Phase,
  SignOff,
  Suspicion,
  Task,
  TaskResult,
} from "@questbus/protocol";
import type { Artifacts, ProcessGroups, Workspace } from "@questbus/workbench";
import type { AgentDefinition } from "./definition.ts";

/** What a behaviour works with: its brief, the quest's private workspace, and the word to stop. */
export type TaskContext = {
  brief: Brief;
  definition: AgentDefinition;
  /** The state directory of the stack, whose disk the work is done on. */
  stateDir: string;
  /** What is stored here belongs to the task's report, also when the task fails. */
  artifacts: Artifacts;
  groups: ProcessGroups;
  /** Aborts when the lease is lost or the process is told to stop; commands end with it. */
  signal: AbortSignal;
  /** Says what is done meanwhile, in one line that goes on "performance ...": a long wait, say. Never fails. */
  note(text: string): Promise<void>;
  /** What is done now, for people who look: `pair 14 of 90`. It also shows that the work goes on. */
  step(text: string): void;
  /** Opens the quest's private workspace, and makes it when it is not there. */
  workspace(): Promise<Workspace>;
};

/** Both trees of a watch are states of the target: what differs is what its authors wanted, and nothing is accepted. */
export const isWatch = ({ brief }: Pick<TaskContext, "brief">): boolean => brief.spec.watch !== null;

/** What a task found. A task that cannot be done throws a `QuestbusError`, which is reported as its fault. */
export type Outcome<T extends Task = Task> = {
  result: TaskResult[T];
  /** One line for people. */
  summary: string;
  signOff?: SignOff;
  /** What looks like gaming. */
  suspicions?: Suspicion[];
};

/** A role's three phases. Which task of the phase is asked for stands in the brief. */
export type Behaviour = Record<Phase, (context: TaskContext) => Promise<Outcome>>;

export const yes = (...reasons: string[]): SignOff => ({ vote: "yes", reasons });
export const no = (...reasons: string[]): SignOff => ({ vote: "no", reasons });

/** The fixer that the architect chose for this pass. */
export function chosenFixer(brief: Brief): FixerSpec {
  const fixer = brief.fixer === null ? undefined : brief.spec.fixers[brief.fixer];
  if (!fixer) throw new RangeError(`${brief.quest}: no fixer was chosen`);
  return fixer;
}

/** What the performance role may write in this quest: the quest's word, less what its definition never allows. */
export const authorityOf = ({ brief, definition }: Pick<TaskContext, "brief" | "definition">): Authority => ({
  write: brief.spec.authority.write,
  never: [...brief.spec.authority.never, ...definition.never],
});
