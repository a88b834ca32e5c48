import { playTable } from "../../doors/turn-table.ts";
import type { Area } from "../promise.ts";

/** What can be wrong with an answer in a conversation, on a real broker and orchestrator. */
export const proveTurns: Area = async function* ({ note }) {
  const { tried, repeated } = await playTable();
  const wrong = tried.filter(
    ({ case: { code: wanted }, code, breaches, breachesWanted, isMoved }) =>
      code !== wanted || breaches !== breachesWanted || isMoved,
  );
  for (const { case: each, code } of tried) note(`${each.row}: ${each.name}: ${code}`);
  const same = JSON.stringify(repeated.first) === JSON.stringify(repeated.again) && repeated.rows === 0;
  const codes = new Set(tried.map(({ code }) => code));
  yield {
    id: "doors.turns",
    what: "out-of-turn, stale, duplicate and malformed answers in a conversation",
    goal: "each refused with its code and recorded, none moves it; a repeated command gets its answer",
    value: `${tried.length} answers, ${codes.size} codes, ${wrong.length} otherwise${same ? "" : "; a repeated command was done again"}`,
    ok: wrong.length === 0 && same,
  };
};
