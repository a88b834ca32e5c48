import { limit, type Role } from "@questbus/protocol";
import { analysisOf, currentPass, type QuestState } from "../quest/state.ts";

/** What is searched for. Pure; whatever stands in a text, the search that is made of it is one of words and nothing else. */

/** As SQLite's tokenizer takes a text apart: everything else, quotes and operators too, is between words. */
const wordForm = /[\p{L}\p{N}]+/gu;
const wordCharsMin = 2;
const wordCharsMax = 64;
const idle = new Set(
  "the and for with from than that this into not are was but its has can will of or to in at is it by on no an as be node npm run src".split(
    " ",
  ),
);

/** The words of some texts in lower case, each once, the first ones first. */
export function wordsOf(texts: readonly string[]): string[] {
  const words = new Set<string>();
  for (const text of texts) {
    for (const [found] of text.matchAll(wordForm)) {
      const word = found.toLowerCase();
      if (word.length < wordCharsMin || word.length > wordCharsMax || idle.has(word)) continue;
      words.add(word);
      if (words.size === limit.memoryWordsMax) return [...words];
    }
  }
  return [...words];
}

/** A search for any of these words, as FTS5 reads it; null: there is no word. */
export function matchOf(words: readonly string[]): string | null {
  return words.length > 0 ? words.map((word) => `"${word}"`).join(" OR ") : null;
}

/** What a role's assignment is about: the goal, the metric, where the time goes, the files at hand, the fixers. */
export function topicOf(state: QuestState, role: Role): string[] {
  const { title, measure, fixers } = state.spec;
  const hot = analysisOf(state)?.hot ?? [];
  return wordsOf([
    role,
    title,
    measure.metric.name,
    ...hot.flatMap((each) => [each.function, each.where ?? ""]),
    ...(currentPass(state)?.candidate?.files ?? []),
    ...fixers.map(({ name }) => name),
    measure.command,
  ]);
}
