/** How far the batch stream is carried out, and the last row of the journal that it is known to hold. */
export const positionCursor = "batch-stream";
export const heldCursor = "batch-held";
/** The row with which the present tenure began. */
export const leaderCursor = "leader";
