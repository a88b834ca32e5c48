import {
  type DecideContext,
  type Draft,
  decideClaim,
  decideReport,
  decideRule,
  decideStart,
  decideSubmit,
  grantOf,
  type QuestState,
} from "@questbus/core";
import { type Actor, type Grant, limit, type Report, type Role, roles } from "@questbus/protocol";
import { scriptedReport, submission } from "@questbus/testkit/scripted-report";
import { createMachine, type Machine, type Profile, uniform } from "./noise.ts";
import { measure } from "./pass.ts";

/**
 * A whole quest through the product's own decisions: submit, three passes, escalation, the arbiter's extra pass. The
 * agents' reports are scripted, but for the samples, which come from a simulated machine that lives as long as the
 * quest.
 *
 * The fixer adapts: it has only candidates without a gain above the margin, keeps the one that looked best so far, and
 * tries that one, or a near relative of it, again.
 */

/** `creep`: the candidates' true gains wander below the margin and up to it; else all are no-ops. */
export type QuestWorld = { profile: Profile; creep: boolean };

const margin = 0.01;
const written: Parameters<typeof submission>[0] = {
  goal: { improveBy: "5%", margin: "1%" },
  guards: [],
  fixers: [{ command: "./improve.sh" }],
};

type Fixer = { next: (state: QuestState) => number };

/** Answers the true gain of the next candidate, from how the earlier ones looked. */
function adaptiveFixer(creep: boolean, chance: () => number): Fixer {
  const tried: number[] = [];
  const next = (state: QuestState): number => {
    const looks = tried.map(
      (_, at) => state.passes[at]?.verdict?.effect?.estimate ?? Number.NEGATIVE_INFINITY,
    );
    const best = tried[looks.indexOf(Math.max(...looks))];
    const wandered = best === undefined ? margin * (2 * chance() - 1) : best + 0.01 * (chance() - 0.5);
    const gain = creep ? Math.min(margin, wandered) : 0;
    tried.push(gain);
    return gain;
  };
  return { next };
}

function reportOf(grant: Grant, machine: Machine, gain: number): Report {
  const { brief } = grant;
  const report = scriptedReport(grant, { tree: `${brief.pass}`.padStart(40, "0") });
  if (report.task !== "gate") return report;
  const { spec, seed, alpha } = brief;
  const policy = {
    metric: spec.measure.metric,
    goal: spec.goal,
    guards: spec.guards,
    alpha,
    pairsMax: spec.budget.pairs,
    confirmationPairs: limit.confirmationPairs,
    signOff: spec.signOff,
  };
  return { ...report, result: { samples: measure(machine, seed, 1 - gain, policy).samples } };
}

const isFooled = ({ passes }: QuestState): boolean =>
  passes.some(({ verdict }) => verdict?.verdict === "ACCEPT" || verdict?.verdict === "KEEP");

/** Plays the quest to its end. `fooled`: a pass was accepted or kept, which with such candidates is always wrong. */
export function playQuest(world: QuestWorld, seed: string): { fooled: boolean; passes: number } {
  const machine = createMachine(world.profile, `${seed}/machine`);
  const fixer = adaptiveFixer(world.creep, uniform(`${seed}/fixer`));
  const context = (name: string): DecideContext => ({
    nowMs: 1,
    actor: { role: name, name } as Actor,
    newId: (prefix) => `${prefix}00000000`,
    newSeed: () => seed,
  });
  let { state } = decideSubmit(submission(written), context("operator"));
  let gain = 0;
  let granted = false;
  const act = (by: string, decide: (now: DecideContext) => Draft): void => {
    state = decide(context(by)).state;
  };
  const work = (role: Role): void => {
    act(role, (now) => decideClaim(state, role, now));
    const grant = grantOf(state, role);
    if (grant.brief.task === "produce") gain = fixer.next(state);
    act(role, (now) => decideReport(state, reportOf(grant, machine, gain), now));
  };
  const retry = (escalation: string): void => {
    granted = true;
    const data = { escalation, decision: "retry", reason: "once more", guidance: null } as const;
    act("arbiter", (now) => decideRule(state, data, now));
  };
  while (!isFooled(state)) {
    const role = roles.find((each) => state.assignments[each].status === "offered");
    if (role) work(role);
    else if (state.status === "queued") act("orchestrator", (now) => decideStart(state, now));
    else if (state.status === "escalated" && state.escalation && !granted) retry(state.escalation.id);
    else break;
  }
  const { passes } = state;
  return { fooled: isFooled(state), passes: passes.length };
}
