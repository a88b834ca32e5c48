import { isDeepStrictEqual } from "node:util";
import {
  authorityOf,
  type Behaviour,
  no,
  type Outcome,
  readyWorktree,
  reviewDifference,
  type TaskContext,
  touchedBetween,
  yes,
} from "@questbus/agent";
import {
  judgeGuard,
  namedOperations,
  nameList,
  notGranted,
  operationsIn,
  operationsText,
} from "@questbus/core";
import { forbiddenPaths, percent, QuestbusError, type SettleOrder } from "@questbus/protocol";
import {
  describeMachine,
  diffFiles,
  integrate,
  readMachine,
  refuseForbiddenChanges,
  removeTrees,
  restore,
  targetState,
  treeOf,
  unfitReasons,
} from "@questbus/workbench";

/** Ops keeps machine and workspace fit, checks the guards, and carries out the verdict. */
export const behaviour: Behaviour = {
  test: fitness,
  fix: prepare,
  validate: (context) => (context.brief.task === "settle" ? settle(context) : guard(context)),
};

/** Above this load for each core a measurement has company. */
const loadPerCpuWarn = 1;

async function fitness({ brief, stateDir }: TaskContext): Promise<Outcome<"fitness">> {
  const machine = await readMachine(stateDir);
  const unfit = unfitReasons(machine);
  if (unfit.length > 0) {
    throw new QuestbusError({
      code: "MACHINE_UNFIT",
      message: `this machine cannot measure now: ${unfit.join(", ")}`,
      next: "free what is short, then run the quest again",
    });
  }
  const { loadPerCpu, diskFreeBytes, memoryFreeBytes } = machine;
  const warnings = loadPerCpu > loadPerCpuWarn ? ["a load above 1 may cost more pairs"] : [];
  const target = await targetState(brief.spec.target.repo);
  return {
    result: { loadPerCpu, diskFreeBytes, memoryFreeBytes, target, warnings },
    summary: `machine is fit: ${[describeMachine(machine), ...warnings].join("; ")}`,
  };
}

async function prepare(context: TaskContext): Promise<Outcome<"prepare">> {
  const tree = await readyWorktree(context);
  return { result: { tree }, summary: `clean worktree at last known-good, tree ${tree.slice(0, 12)}` };
}

/** Non-inferiority of every guard, from the same pairs; an undecided guard is a no. */
async function guard({ brief }: TaskContext): Promise<Outcome<"guard">> {
  const pairs = brief.samples?.pairs ?? [];
  const findings = brief.spec.guards.map((each) => judgeGuard(pairs, each));
  const texts = findings.map(({ name, state, worsening }, at) => {
    const bound = percent(brief.spec.guards[at]?.worseBy ?? 0);
    return `${name} ${state}${worsening === null ? "" : ` (${change(worsening)}, bound ${bound} worse)`}`;
  });
  const none =
    brief.spec.watch === null ? "the quest names no guards" : "guards are not looked at in a recheck";
  const summary = texts.length > 0 ? `guards: ${texts.join(", ")}` : none;
  const held = findings.every((each) => each.state === "holds");
  return {
    result: { checked: findings.map((each) => each.name) },
    summary,
    signOff: held ? yes(summary) : no(summary),
  };
}

const change = (worsening: number): string =>
  worsening > 0 ? `${percent(worsening)} worse` : `${percent(-worsening)} better`;

async function settle(context: TaskContext): Promise<Outcome<"settle">> {
  const order = context.brief.settle;
  if (!order) throw new RangeError(`${context.brief.quest}: nothing to settle`);
  return order.kind === "integrate" ? bringIn(context, order) : putBack(context, order);
}

/** Last known-good stands in the worktree again, and nothing else is left of the pass. */
async function putBack({ brief, workspace }: TaskContext, order: SettleOrder): Promise<Outcome<"settle">> {
  const ws = await workspace();
  await removeTrees(ws);
  const tree = await restore(ws, "work", order.commit);
  if (brief.lastSettle) await removeTrees(ws);
  const target = await targetState(brief.spec.target.repo);
  const what =
    order.kind === "advance" ? "worktree moved to the kept gain" : "worktree put back to last known-good";
  const same = brief.target === null || isDeepStrictEqual(target, brief.target);
  const changed = same ? "" : "; somebody else has changed the target meanwhile";
  return {
    result: { kind: order.kind, tree, branch: null, commit: null, target },
    summary: `${what}: tree ${tree.slice(0, 12)} proven by its hash${changed}`,
  };
}

/** What is sealed stands in the change as it stands in the quest's base. */
async function refuseSealed(context: TaskContext, { commit }: IntegrateOrder): Promise<void> {
  const { suspicions, setAside } = await reviewDifference(context, commit, context.brief.base.commit);
  const paths = [...suspicions.map(({ where }) => where ?? ""), ...setAside.map(({ path }) => path)];
  if (paths.length === 0) return;
  throw new QuestbusError({
    code: "PATH_FORBIDDEN",
    message: `the change touches what is sealed: ${nameList(paths)}`,
    next: "let an arbiter look at the quest",
  });
}

/** Nothing restricted is in the change but what the quest file allows, or an operator has granted. */
async function refuseUnapproved(
  { brief, workspace }: TaskContext,
  { commit }: IntegrateOrder,
): Promise<void> {
  const touched = await touchedBetween(await workspace(), brief.base.commit, commit);
  const found = notGranted(namedOperations(operationsIn(touched)), brief.spec, brief.approved);
  if (found.length === 0) return;
  throw new QuestbusError({
    code: "APPROVAL_MISSING",
    message: `nobody approved what is restricted in the change: ${operationsText(found)}`,
    next: "let an arbiter look at the quest",
  });
}

type IntegrateOrder = Extract<SettleOrder, { kind: "integrate" }>;

/** One commit on a new branch of the target; what may not be written is refused here once more. */
async function bringIn(context: TaskContext, order: IntegrateOrder): Promise<Outcome<"settle">> {
  const { brief } = context;
  const ws = await context.workspace();
  await refuseForbiddenChanges(ws, brief.base.commit, order.commit);
  const { files } = await diffFiles(ws, brief.base.commit, order.commit);
  const outside = forbiddenPaths(files, authorityOf(context));
  if (outside.length > 0) {
    throw new QuestbusError({
      code: "PATH_FORBIDDEN",
      message: `the change writes ${outside.join(", ")}, which performance may not`,
      next: "let an arbiter look at the quest",
    });
  }
  await refuseSealed(context, order);
  await refuseUnapproved(context, order);
  if ((await treeOf(ws, order.commit)) !== order.tree) {
    throw new QuestbusError({
      code: "ROLLBACK_UNPROVEN",
      message: `the commit ${order.commit} has not the tree that was judged`,
      next: "let an arbiter look at the quest",
    });
  }
  const { commit: source, branch, atMs, message, changelog } = order;
  const targetRoot = brief.spec.target.repo;
  const done = await integrate(ws, {
    targetRoot,
    baseCommit: brief.base.commit,
    commit: source,
    branch,
    atMs,
    message,
    changelog,
  });
  await removeTrees(ws);
  const target = await targetState(targetRoot);
  return {
    result: { kind: "integrate", tree: done.tree, branch: done.branch, commit: done.commit, target },
    summary: `one commit ${done.commit.slice(0, 12)} on the new branch ${done.branch}`,
  };
}
