/**
 * One of `of` parts of the journal and its projections, for those who go through them side by side: a row belongs to one
 * share, by the last letter of its quest's id. What names no quest is in share 0.
 */
export type Share = { at: number; of: number };

/** The condition under which a row is in the share of `@at` and `@of`. */
export const inShare = (quest: string): string => `coalesce(unicode(substr(${quest}, -1)), 0) % @of = @at`;
