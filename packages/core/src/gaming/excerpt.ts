/** The new lines of a text with their surroundings, so that looking at a change costs what the change is long. */
export type Excerpt = {
  text: string;
  /** The number, from 1, of the first new line that a piece of the excerpt reaches over; null: none is new. */
  newLineAt(from: number, to: number): number | null;
};

/** Lines kept before and after a new one: a form may begin or end in a line that was there. */
const around = 4;
/** Stands where lines are left out, and belongs to no form. */
const gap = ";";
/** Whether a piece of an excerpt reaches over lines that are left out. */
export const hasGap = (piece: string): boolean => piece.includes(`\n${gap}\n`);

export function excerptOf(text: string, isNew: (line: string) => boolean): Excerpt {
  const lines = text.split("\n");
  const news = lines.map(isNew);
  const kept = new Set(news.flatMap((each, at) => (each ? nearby(at, lines.length) : [])));
  const numbers: number[] = [];
  const shown: string[] = [];
  for (const [at, line] of lines.entries()) {
    if (!kept.has(at)) continue;
    if (at > 0 && !kept.has(at - 1)) {
      numbers.push(0);
      shown.push(gap);
    }
    numbers.push(at + 1);
    shown.push(line);
  }
  const starts = startsOf(shown);
  return {
    text: shown.join("\n"),
    newLineAt(from, to) {
      const found = numbers.find(
        (number, k) =>
          number > 0 &&
          news[number - 1] &&
          (starts[k] as number) < to &&
          from <= (starts[k] as number) + (shown[k] as string).length,
      );
      return found ?? null;
    },
  };
}

const nearby = (at: number, count: number): number[] =>
  Array.from({ length: 2 * around + 1 }, (_, k) => at - around + k).filter(
    (each) => each >= 0 && each < count,
  );

function startsOf(lines: readonly string[]): number[] {
  let start = 0;
  return lines.map((line) => {
    const own = start;
    start += line.length + 1;
    return own;
  });
}
