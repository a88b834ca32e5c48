import { type ChangelogEntry, type Effect, percent, roles } from "@questbus/protocol";
import { provenPasses, type QuestState } from "./state.ts";

/** `report_ms 41.3 % better (95 % interval 39 % to 43.1 %)`. */
export function describeEffect(name: string, effect: Effect): string {
  return `${name} ${percent(effect.estimate)} better (${percent(effect.level)} interval ${percent(effect.low)} to ${percent(effect.high)})`;
}

/** The commit message and changelog entry of the change that is being accepted; only stored evidence is quoted. */
export function changeMessage(state: QuestState): { message: string; changelog: ChangelogEntry } {
  const proven = provenPasses(state);
  const last = proven.at(-1);
  const measured = last?.verdict?.total ?? last?.verdict?.effect;
  const impact = measured ? describeEffect(state.spec.measure.metric.name, measured) : "not measured";
  const fixers = proven
    .map((pass) => (pass.fixer === null ? null : state.spec.fixers[pass.fixer]?.name))
    .filter(Boolean);
  const signedOff = roles.filter((role) => last?.signOffs[role]?.vote === "yes");
  const trailers = [
    `Questbus-Quest: ${state.id}`,
    ...fixers.map((fixer) => `Questbus-Fixer: ${fixer}`),
    ...signedOff.map((role) => `Questbus-Sign-Off: ${role}`),
  ];
  return {
    message: `${state.spec.title}\n\n${impact}.\n\n${trailers.join("\n")}\n`,
    changelog: {
      path: state.spec.onAccept.changelog,
      description: `${state.spec.title} (${fixers.join(", ")})`,
      impact,
      rollback: "git revert of the commit that brings this entry",
      author: `questbus, for ${state.author}`,
    },
  };
}
