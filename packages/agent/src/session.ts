import { join } from "node:path";
import { type BusClient, pause, systemTime, type Time } from "@questbus/bus";
import { stepMachine } from "@questbus/core";
import {
  type ArtifactRef,
  type ClaimAnswer,
  crashPoint,
  type ErrorCode,
  type Fault,
  faultsOf,
  type Grant,
  limit,
  type Report,
} from "@questbus/protocol";
import {
  type Artifacts,
  openArtifacts,
  openProcessGroups,
  openWorkspace,
  type ProcessGroups,
  removeTrees,
  type Sandbox,
  underLease,
  underSandbox,
  type Workspace,
} from "@questbus/workbench";
import type { AskHands } from "./asks.ts";
import type { Behaviour, Outcome, TaskContext } from "./behaviour.ts";
import type { AgentDefinition } from "./definition.ts";
import { keepLease, type Log } from "./lease.ts";
import { resendReports, sendReport } from "./report.ts";
import type { Spool } from "./spool.ts";

/**
 * One agent's life: claim an assignment, do its task, report, claim again.
 *
 * Owns the lease it holds and the processes it starts; owns no state of the quest. An agent that dies is no loss: the
 * lease runs out and another of the role is granted the same task, with all that was reported before.
 * Invariants: I1 a lost lease aborts the work under it; I2 a report that was answered is never sent again; I3 what an
 * earlier process of this name left running is ended before anything new is claimed; I4 nothing is started or laid out
 * while it is not sure that the lease is held.
 */
export type Session = {
  client: BusClient;
  definition: AgentDefinition;
  behaviour: Behaviour;
  name: string;
  stateDir: string;
  /** What its commands are shut in. */
  sandbox: Sandbox;
  log: Log;
  /** Aborts when the process is told to stop. */
  signal: AbortSignal;
  time?: Time;
  /** Takes asks, too: one that is at work comes before an assignment. */
  hands?: AskHands;
  /** How long the task at hand may still take then, before it is given back; without it, its lease runs out. */
  drainMs?: number;
  spool?: Spool;
};

/** Where the agents of a stack record what they run, each below the name of its session. */
export const groupsDir = (stateDir: string): string => join(stateDir, "run", "groups");

/** The session's name of an agent of a user's own: others of this name may hold other roles. */
export const joinedName = ({ role, name }: { role: string; name: string }): string => `${role}-${name}`;

/** The names that an agent's session may have: the stack's own is named as its role. */
export const sessionNames = (agent: { role: string; name: string }): string[] =>
  agent.name === agent.role ? [agent.name, joinedName(agent)] : [joinedName(agent)];

/** How long the end of an agent may take to be told. */
const leaveMsMax = 2_000;
const claimAnswerSlackMs = 2_000;
/** After a claim that was refused at once (a full queue, a full disk), so that asking again is no storm. */
const claimPauseMs = 1_000;
/** How long an agent keeps trying to reach the orchestrator before it gives a task up. */
const patienceMs = 60_000;

export async function runSession(session: Session, incarnation: string): Promise<void> {
  const groups = openProcessGroups(join(groupsDir(session.stateDir), session.name));
  const ended = await groups.reap();
  if (ended > 0) session.log.warn({ ended }, "ended processes of an earlier run");
  const guard = groups.guard();
  try {
    await live(session, incarnation, groups);
  } finally {
    await guard.end();
  }
}

async function live(session: Session, incarnation: string, groups: ProcessGroups): Promise<void> {
  const { hands } = session;
  // Before its hello, which ends the leases of the process that made them.
  await resend(session);
  await session.client.request(
    "hello",
    { incarnation, pid: process.pid, sandbox: session.sandbox.level },
    { retryForMs: patienceMs, signal: session.signal },
  );
  while (!session.signal.aborted) {
    if (hands?.room === 0) {
      await hands.untilRoom();
      continue;
    }
    const answer = await claim(session);
    if (answer?.status === "granted") await work(session, answer.grant, groups);
    if (answer?.status === "asked") hands?.take(answer.asks);
  }
  await hands?.stop();
  await leave(session);
}

/** What it still waits for would be granted to nobody. */
async function leave({ client, drainMs }: Session): Promise<void> {
  if (drainMs === undefined) return;
  await client.request("leave", {}, { timeoutMs: leaveMsMax, retryForMs: 0 }).catch(() => {});
}

async function resend({ client, time, signal, spool, log }: Session): Promise<void> {
  if (!spool) return;
  await resendReports({ client, time, signal, spool }).catch((error: unknown) =>
    log.warn({ faults: faultsOf(error) }, "a report is still not answered"),
  );
}

async function claim(session: Session): Promise<ClaimAnswer | null> {
  const { client, log, signal, time = systemTime, hands } = session;
  await resend(session);
  try {
    return (await client.request(
      "claim",
      { waitMs: limit.claimWaitMsMax, ...hands?.wanted },
      { timeoutMs: limit.claimWaitMsMax + claimAnswerSlackMs, retryForMs: patienceMs, signal },
    )) as ClaimAnswer;
  } catch (error) {
    if (!signal.aborted) log.warn({ faults: faultsOf(error) }, "claim failed");
    await pause(time, claimPauseMs, signal);
    return null;
  }
}

/** Does one granted task under its lease and reports it. */
async function work(session: Session, grant: Grant, groups: ProcessGroups): Promise<void> {
  const { log } = session;
  const { brief } = grant;
  crashPoint("claim.granted");
  const lease = keepLease(session, grant);
  const stop = stopSignal(session);
  const signal = AbortSignal.any([stop.signal, lease.lost]);
  log.info({ quest: brief.quest, pass: brief.pass, task: brief.task, epoch: grant.epoch }, "task begins");
  try {
    const held = { confirm: lease.confirm, worked: lease.worked, signal, owner: groups.owner };
    const inside = { sandbox: session.sandbox, network: brief.spec.allow.network ?? [] };
    const report = await underSandbox(inside, () =>
      underLease(held, () => perform(session, grant, groups, { signal, step: lease.step })),
    );
    if (signal.aborted) return;
    crashPoint("task.done");
    await deliver({ ...session, signal: stop.signal }, grant, report);
    crashPoint("report.answered");
    log.info({ quest: brief.quest, task: brief.task, fault: report.fault?.code }, "task reported");
  } catch (error) {
    log.warn({ quest: brief.quest, task: brief.task, faults: faultsOf(error) }, "task dropped");
  } finally {
    lease.end();
    stop.end();
    if (lease.questEnded) await clear(session, grant);
    else if (stop.signal.aborted && !lease.lost.aborted) await giveBack(session, grant);
  }
}

/** Aborts when the session is told to stop, and the time to finish is over. */
function stopSignal({ signal, drainMs = 0, time = systemTime }: Session): {
  signal: AbortSignal;
  end(): void;
} {
  if (drainMs === 0) return { signal, end: () => {} };
  const stop = new AbortController();
  let cancel = (): void => {};
  const begin = (): void => {
    cancel = time.after(drainMs, () => stop.abort(signal.reason));
  };
  if (signal.aborted) begin();
  else signal.addEventListener("abort", begin, { once: true });
  return {
    signal: stop.signal,
    end() {
      signal.removeEventListener("abort", begin);
      cancel();
    },
  };
}

/** What was begun and cannot be finished is offered again at once. */
async function giveBack({ client, drainMs }: Session, { assignment, epoch }: Grant): Promise<void> {
  if (drainMs === undefined) return;
  await client.request("release", { assignment, epoch, reason: "the agent stops" }).catch(() => {});
}

/** Who cancels a quest removes its trees too, and this agent may have laid one out since. */
const clear = (session: Session, grant: Grant): Promise<void> =>
  removeTrees({ dir: workspaceDir(session.stateDir, grant) }).catch((error: unknown) =>
    session.log.warn({ err: error, quest: grant.brief.quest }, "the trees of an ended quest stay"),
  );

/** Refusals of a report that are the task's own doing. */
const reportable: readonly ErrorCode[] = [
  "MESSAGE_TOO_LARGE",
  "MESSAGE_INVALID",
  "DISK_FULL",
  "ROLLBACK_UNPROVEN",
];

const workspaceDir = (stateDir: string, { brief }: Grant): string => join(stateDir, "quests", brief.quest);

/** The journal is on the same disk as the quest's trees: it got its room back first. */
const diskFilled = (stateDir: string): Fault => ({
  code: "DISK_FULL",
  message: "the disk was full when this task ended; what it had laid out was removed",
  where: stateDir,
  next: "free some space, or let the quest's commands write less, then run it again",
});

/** Sends a report; one that cannot be taken becomes the report of that fault, or it would be tried for ever. */
async function deliver(session: Session, grant: Grant, report: Report): Promise<void> {
  const { stateDir } = session;
  try {
    await sendReport(session, report);
  } catch (error) {
    const [fault] = faultsOf(error);
    if (!fault || !reportable.includes(fault.code)) throw error;
    if (fault.code === "DISK_FULL") await removeTrees({ dir: workspaceDir(stateDir, grant) });
    const told = fault.code === "DISK_FULL" ? diskFilled(stateDir) : fault;
    await sendReport(session, faultReport(grant, told, []));
  }
}

/** The workspace of one task: to open it takes three git processes, and the steps of a task ask for it several times. */
function onceOpened(open: () => Promise<Workspace>): () => Promise<Workspace> {
  let opened: Promise<Workspace> | null = null;
  return () => {
    opened ??= open().catch((error: unknown) => {
      opened = null;
      throw error;
    });
    return opened;
  };
}

/** A note that is not stored is no loss: the report is what counts. */
async function say({ client, log, signal }: Session, grant: Grant, text: string): Promise<void> {
  const { assignment, epoch } = grant;
  const short = text.slice(0, limit.noteCharsMax);
  await client
    .request("note", { assignment, epoch, text: short }, { timeoutMs: limit.renewEveryMs, signal })
    .catch((error: unknown) => log.warn({ assignment, faults: faultsOf(error) }, "note not stored"));
}

async function perform(
  session: Session,
  grant: Grant,
  groups: ProcessGroups,
  { signal, step }: Pick<TaskContext, "signal" | "step">,
): Promise<Report> {
  const { brief } = grant;
  const { definition, stateDir } = session;
  const stored: ArtifactRef[] = [];
  const context: TaskContext = {
    brief,
    definition,
    stateDir,
    artifacts: recorded(openArtifacts(join(stateDir, "artifacts")), stored),
    groups,
    signal,
    step,
    note: (text) => say(session, grant, text),
    workspace: onceOpened(() =>
      openWorkspace({
        dir: workspaceDir(stateDir, grant),
        targetRoot: brief.spec.target.repo,
        commit: brief.base.commit,
      }),
    ),
  };
  try {
    return reportOf(grant, await phaseOf(session.behaviour, grant)(context), stored);
  } catch (error) {
    const [fault] = faultsOf(error);
    if (fault?.code === "INTERNAL" && !signal.aborted)
      session.log.error({ err: error }, "task failed unexpectedly");
    return faultReport(grant, fault as Fault, stored);
  }
}

/** The behaviour of the phase that the role's machine is in; the grant must be one that the machine allows. */
function phaseOf(behaviour: Behaviour, { brief }: Grant): Behaviour["test"] {
  const context = { pass: brief.pass - 1, passesMax: brief.pass, grantsLeft: 0 };
  let machine = stepMachine({ value: "idle", context }, { type: "PASS_STARTED" });
  while (machine && machine.value !== brief.phase) machine = stepMachine(machine, { type: "PHASE_DONE" });
  if (!machine) throw new RangeError(`${brief.quest}: no way to phase ${brief.phase}`);
  return behaviour[brief.phase];
}

/** Text that was cut inside a character outside the BMP is no Unicode any more, and would be refused. */
const wellFormed = (report: Report): Report =>
  JSON.parse(
    JSON.stringify(report, (_, value) => (typeof value === "string" ? value.toWellFormed() : value)),
  );

const headOf = ({ assignment, epoch, brief }: Grant) => ({
  assignment,
  epoch,
  pass: brief.pass,
  phase: brief.phase,
});
const line = (text: string): string => (text.length > 400 ? `${text.slice(0, 397)}...` : text);

/** Notes in `stored` what is put, so that evidence is never left out of a report. */
function recorded(artifacts: Artifacts, stored: ArtifactRef[]): Artifacts {
  return {
    get: artifacts.get,
    async put(kind, bytes) {
      const ref = await artifacts.put(kind, bytes);
      stored.push(ref);
      return ref;
    },
  };
}

function reportOf(grant: Grant, outcome: Outcome, artifacts: ArtifactRef[]): Report {
  return wellFormed({
    ...headOf(grant),
    task: grant.brief.task,
    summary: line(outcome.summary),
    fault: null,
    result: outcome.result,
    signOff: outcome.signOff ?? null,
    suspicions: (outcome.suspicions ?? []).slice(0, limit.suspicionsMax),
    artifacts,
  } as Report);
}

function faultReport(grant: Grant, fault: Fault, artifacts: ArtifactRef[]): Report {
  const cut = (text: string | undefined, chars: number): string | undefined => text?.slice(0, chars);
  const short: Fault = {
    code: fault.code,
    message: fault.message.slice(0, limit.reasonCharsMax),
    where: cut(fault.where, limit.placeCharsMax),
    next: cut(fault.next, limit.reasonCharsMax),
  };
  return wellFormed({
    ...headOf(grant),
    task: grant.brief.task,
    summary: line(`${fault.code}: ${fault.message}`),
    fault: short,
    result: null,
    signOff: null,
    suspicions: [],
    artifacts,
  } as Report);
}
