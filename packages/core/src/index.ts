export * from "./activation/route.ts";
export { analyse } from "./analysis/analyse.ts";
export * from "./analysis/describe.ts";
export { notGranted } from "./approval/approval.ts";
export * from "./approval/decide.ts";
export {
  isTouchy,
  isTouchyInPart,
  namedOperations,
  operationsIn,
  operationsText,
} from "./approval/restricted.ts";
export * from "./arbitration/matrix.ts";
export * from "./ask/decide.ts";
export * from "./ask/state.ts";
export * from "./assignment/machine.ts";
export * from "./assignment/progress.ts";
export * from "./assignment/schedule.ts";
export * from "./breaker/breaker.ts";
export * from "./certainty/certainty.ts";
export * from "./dead/decide.ts";
export { type CliEnd, classifyCliRun, cliInstall, cliStart } from "./fixer/cli.ts";
export { fixersLeft } from "./fixer/left.ts";
export { fixerPrompt } from "./fixer/prompt.ts";
export { quotaPauseMs } from "./fixer/quota.ts";
export { evaluatorNames, filesIn } from "./gaming/evaluator.ts";
export type { ScannedFile } from "./gaming/rule.ts";
export { scanChange } from "./gaming/scan.ts";
export { injectionSignOf, injectionsIn, injectionText, withoutSecrets } from "./injection/find.ts";
export { suspectText } from "./injection/suspect.ts";
export * from "./journal/explain-pass.ts";
export * from "./journal/recompute.ts";
export { type KnobTrial, knobRunsMax, nextKnobStep } from "./knob/halving.ts";
export { drawSettings, type KnobSetting, settingText } from "./knob/setting.ts";
export { decideRemember, memoryIdOf, memorySeqOf, memoryThere } from "./memory/decide.ts";
export { countedOf, learnedOf } from "./memory/learn.ts";
export { matchOf, topicOf, wordsOf } from "./memory/query.ts";
export { leastUseful, ranked, standing } from "./memory/rank.ts";
export * from "./pause/decide.ts";
export {
  askWithheld,
  holdsMachine,
  pausedBy,
  type Withheld,
  whyWithheld,
} from "./pause/withheld.ts";
export * from "./quest/admission.ts";
export * from "./quest/apply.ts";
export * from "./quest/brief.ts";
export * from "./quest/change.ts";
export { decideClaim, decideGive, type Given } from "./quest/claim.ts";
export * from "./quest/decide.ts";
export type { DecideContext, Draft } from "./quest/draft.ts";
export * from "./quest/judge-pass.ts";
export * from "./quest/stage.ts";
export * from "./quest/state.ts";
export * from "./quest/watch.ts";
export { type Counted, Tally } from "./refusal/tally.ts";
export * from "./seal/manifest.ts";
export { reviewSeal, type SealFinding } from "./seal/review.ts";
export { type SealRules, sealRule } from "./seal/sealed-path.ts";
export { awaitingPass, isReady, quotaUntilMs, requestOf } from "./supply/supply.ts";
export { forbiddenArguments, forbiddenPrograms, forbiddenStarts } from "./tool/policy.ts";
export {
  isTurnOf,
  openConversation,
  participantsIn,
  standingOf,
  turnGrantOf,
} from "./turn/conversation.ts";
export * from "./turn/decide.ts";
export { conversationEntry } from "./turn/entry.ts";
export * from "./verdict/bias.ts";
export * from "./verdict/detectable.ts";
export * from "./verdict/effect.ts";
export * from "./verdict/explain.ts";
export * from "./verdict/gate.ts";
export * from "./verdict/guard.ts";
export * from "./verdict/judge.ts";
export * from "./verdict/pair-order.ts";
export { effectPhrase, nameList } from "./verdict/phrase.ts";
export * from "./verdict/run-guard.ts";
