import type { ErrorCode } from "@questbus/protocol";

/**
 * What can be wrong with an answer in a conversation, each with the code that it is refused with: the table of
 * docs/turns.md, which is tried on the decision alone and on the real bus.
 *
 * The conversation is this: `performance` leads and has given turn 2 to `qa`, which answers it with a change; turn 3 is
 * the leader's again, offered and then taken, and the last that may be. Then the leader ends it, and in the end the quest
 * is cancelled.
 */
export type TurnStage = "turn 2" | "turn 3 offered" | "turn 3" | "over" | "cancelled";
export type TurnCase = {
  /** What an answer is; several cases may be one row of the table. */
  row: string;
  name: string;
  at: TurnStage;
  /** Who sends it: `role/name`. */
  by: string;
  /** The data of `respond`, without its quest; a text is the whole message. */
  answer: Record<string, unknown> | ((quest: string) => string);
  code: ErrorCode;
  isBreach: boolean;
};

/** The quest of these cases, laid on any other. */
export const turnsQuest = {
  fixers: [{ turns: { leader: "performance", workers: ["qa"], turnsMax: 3 } }],
  authorities: { performance: { write: ["src/**"], never: ["test/**"] } },
};

const diffOf = (file: string): string => `--- a/${file}\n+++ b/${file}\n@@ -1 +1 @@\n-x\n+y\n`;
/** The change of turn 2, and the files that are in it. */
export const workersChange = { patch: `${diffOf("src/search.js")}${diffOf("src/index.js")}` };
export const workersFiles = ["src/search.js", "src/index.js"];

const done = { status: "completed", message: "done" };
const asking = { status: "clarification", message: "which files?" };
const blocked = { status: "blocked", message: "no idea" };

type Group = Pick<TurnCase, "row" | "code" | "isBreach">;
type Tried = Pick<TurnCase, "name" | "at" | "by" | "answer">;
const of = (group: Group, ...tried: Tried[]): TurnCase[] => tried.map((each) => ({ ...group, ...each }));
const worker = (name: string, answer: TurnCase["answer"]): Tried => ({
  name,
  at: "turn 2",
  by: "qa/qa",
  answer,
});
const leader = (name: string, answer: TurnCase["answer"]): Tried => ({
  name,
  at: "turn 3",
  by: "performance/performance",
  answer,
});

export const turnCases: readonly TurnCase[] = [
  ...of(
    { row: "out of turn", code: "TURN_OUT_OF_TURN", isBreach: true },
    {
      name: "another role that takes part",
      at: "turn 2",
      by: "performance/performance",
      answer: { turn: 2, ...done },
    },
    {
      name: "another agent of the role whose turn it is",
      at: "turn 2",
      by: "qa/other",
      answer: { turn: 2, ...done },
    },
    worker("a turn that was not given yet", { turn: 3, ...done }),
  ),
  ...of(
    { row: "stale: an earlier turn, which its sender did not answer", code: "TURN_STALE", isBreach: true },
    worker("the leader's turn", { turn: 1, ...done }),
    { name: "another agent of that role", at: "turn 3", by: "qa/other", answer: { turn: 2, ...done } },
  ),
  ...of(
    { row: "duplicate: an earlier turn again, as another command", code: "TURN_ANSWERED", isBreach: true },
    {
      name: "the leader's first",
      at: "turn 2",
      by: "performance/performance",
      answer: { turn: 1, ...asking, next: "qa" },
    },
    { name: "the worker's", at: "turn 3", by: "qa/qa", answer: { turn: 2, ...done } },
  ),
  ...of(
    { row: "a turn that was not taken: no `monitor` has given it", code: "TURN_NOT_TAKEN", isBreach: false },
    {
      ...leader("the leader's, which it was not told of", { turn: 3, ...blocked }),
      at: "turn 3 offered",
    },
  ),
  ...of(
    { row: "malformed: breaks the contract of the message", code: "MESSAGE_INVALID", isBreach: true },
    worker("not JSON", (quest) => `{"data":{"quest":"${quest}","turn":2,`),
    worker("a status that is none of the three", { turn: 2, ...done, status: "done" }),
    worker("no message", { turn: 2, status: "completed" }),
    worker("an empty message", { turn: 2, status: "completed", message: " " }),
    worker("a message of any length", { turn: 2, status: "completed", message: "x".repeat(16_385) }),
    worker("a key that is not known", { turn: 2, ...done, verdict: "ACCEPT" }),
    worker("a turn that is no number", { turn: "2", ...done }),
    worker("files that are no list", { turn: 2, ...done, files: "src/search.js" }),
    worker("a certainty in per cent", { turn: 2, ...done, certainty: 98 }),
    worker("a next that is no role", { turn: 2, ...done, next: "root" }),
  ),
  ...of(
    { row: "malformed: no move of a conversation", code: "TURN_MALFORMED", isBreach: true },
    worker("a worker says who is next", { turn: 2, ...done, next: "performance" }),
    worker("a clarification with a change", {
      turn: 2,
      ...asking,
      change: workersChange,
      files: workersFiles,
    }),
    worker("the change of a turn that brought none", {
      turn: 2,
      ...done,
      change: { turn: 1 },
      files: workersFiles,
    }),
    leader("a leader names nobody and ends nothing", { turn: 3, ...done }),
    leader("a leader asks nobody", { turn: 3, ...asking }),
    leader("a leader gives a turn to a role that takes no part", { turn: 3, ...done, next: "ops" }),
    leader("a leader gives itself a turn", { turn: 3, ...done, next: "performance" }),
    leader("a leader ends it, and gives a turn", { turn: 3, ...blocked, next: "qa" }),
    leader("a leader brings a change, and gives a turn", {
      ...{ turn: 3, ...done, next: "qa" },
      ...{ change: { turn: 2 }, files: workersFiles },
    }),
    leader("a turn is given beyond the last", { turn: 3, ...asking, next: "qa" }),
  ),
  ...of(
    { row: "wrong files: others than its diff has", code: "TURN_FILES_WRONG", isBreach: true },
    worker("one that its diff does not have", {
      turn: 2,
      ...done,
      change: workersChange,
      files: [...workersFiles, "src/a.js"],
    }),
    worker("one of its diff left out", { turn: 2, ...done, change: workersChange, files: ["src/search.js"] }),
    worker("none of them", { turn: 2, ...done, change: workersChange }),
    worker("files without a change", { turn: 2, ...done, files: ["src/search.js"] }),
    leader("others than the change of a turn has", {
      turn: 3,
      ...done,
      change: { turn: 2 },
      files: ["src/search.js"],
    }),
  ),
  ...of(
    { row: "a change of what may not be written", code: "PATH_FORBIDDEN", isBreach: true },
    worker("a test", { turn: 2, ...done, change: { patch: diffOf("test/a.js") }, files: ["test/a.js"] }),
    worker("outside of what is allowed", {
      turn: 2,
      ...done,
      change: { patch: diffOf("a.js") },
      files: ["a.js"],
    }),
  ),
  ...of(
    { row: "a change that is no patch", code: "PATCH_INVALID", isBreach: true },
    worker("words", { turn: 2, ...done, change: { patch: "make it faster" }, files: ["src/search.js"] }),
  ),
  ...of(
    { row: "less than 95 % sure, without a source", code: "SOURCE_MISSING", isBreach: false },
    worker("half sure", { turn: 2, ...done, certainty: 0.5 }),
  ),
  ...of(
    { row: "not a participant", code: "NOT_A_PARTICIPANT", isBreach: false },
    { name: "a role that takes no part", at: "turn 2", by: "ops/ops", answer: { turn: 2, ...done } },
    { name: "the same, when it is over", at: "over", by: "ops/ops", answer: { turn: 4, ...done } },
  ),
  ...of(
    { row: "ended conversation", code: "CONVERSATION_ENDED", isBreach: false },
    { name: "a next turn", at: "over", by: "qa/qa", answer: { turn: 4, ...done } },
    {
      name: "its last turn again",
      at: "over",
      by: "performance/performance",
      answer: { turn: 3, ...blocked },
    },
  ),
  ...of(
    { row: "ended quest", code: "QUEST_ENDED", isBreach: false },
    { name: "any turn", at: "cancelled", by: "qa/qa", answer: { turn: 4, ...done } },
  ),
];
