import { isTouchy, isTouchyInPart } from "@questbus/core";
import { limit, type TouchedPath } from "@questbus/protocol";
import { changedTexts, type Workspace } from "@questbus/workbench";

/** Characters of all texts of one report: one that has more leaves some out, and what it leaves out counts as changed. */
const charsMax = 262_144;

/**
 * What differs between two commits or trees and may be restricted, as the repository has it. A report shows as much of it as
 * it can carry, and what it does not show counts as changed.
 */
export const touchedShown = async (ws: Workspace, from: string, to: string): Promise<TouchedPath[]> =>
  (await touchedBetween(ws, from, to)).slice(0, limit.touchedMax);

/** All of it, for who integrates the change. */
export async function touchedBetween(ws: Workspace, from: string, to: string): Promise<TouchedPath[]> {
  let left = charsMax;
  const shown = (path: string, text: string | null): string | null => {
    if (text === null || !isTouchyInPart(path) || text.length > Math.min(left, limit.touchedCharsMax))
      return null;
    left -= text.length;
    return text;
  };
  return (await changedTexts(ws, from, to))
    .filter(({ path }) => isTouchy(path))
    .map(({ path, oid, base, candidate }) => {
      const after = shown(path, candidate);
      // One text alone would look like a file that is new, or removed.
      const isWhole = after !== null || candidate === null;
      const before = isWhole ? shown(path, base) : null;
      const isShown = isWhole && (before !== null || base === null);
      return { path, oid, before: isShown ? before : null, after: isShown ? after : null };
    });
}
