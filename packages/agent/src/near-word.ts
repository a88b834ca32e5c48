/** Edits that make one word of the other: a letter more, less or another, or two neighbours that changed places. */
function edits(one: string, other: string): number {
  const rows = [Array.from({ length: other.length + 1 }, (_, at) => at)];
  const at = (row: number, column: number): number => rows[row]?.[column] ?? Number.POSITIVE_INFINITY;
  for (let i = 1; i <= one.length; i += 1) {
    rows.push([i]);
    for (let j = 1; j <= other.length; j += 1) {
      const swapped = one[i - 1] === other[j - 2] && one[i - 2] === other[j - 1];
      const least = Math.min(
        at(i - 1, j) + 1,
        at(i, j - 1) + 1,
        at(i - 1, j - 1) + (one[i - 1] === other[j - 1] ? 0 : 1),
        swapped ? at(i - 2, j - 2) + 1 : Number.POSITIVE_INFINITY,
      );
      rows[i]?.push(least);
    }
  }
  return at(one.length, other.length);
}

const editsMax = 2;
/** Nothing longer is a misspelt key. */
const charsMax = 40;

/** The word that `written` most likely was to be; null where none is near. */
export function nearWord(written: string, words: readonly string[]): string | null {
  if (written.length > charsMax) return null;
  const found = words
    .map((word) => ({ word, far: edits(written, word) }))
    .sort((a, b) => a.far - b.far)
    .at(0);
  return found && found.far <= Math.min(editsMax, Math.floor(written.length / 2)) ? found.word : null;
}
