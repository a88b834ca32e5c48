import { z } from "zod";
import { sha256 } from "./identity.ts";
import { limit } from "./limit.ts";

/** A candidate that somebody outside of the quest hands over. */

/** A unified diff: in the message itself, or stored as an artifact. */
const suppliedChange = z.union([
  z.strictObject({ patch: z.string().min(1).max(limit.suppliedPatchCharsMax) }),
  z.strictObject({ sha256 }),
]);

export const suppliedShape = {
  /** What people call it: a branch, a file, an idea. */
  name: z.string().trim().min(1).max(200),
  note: z.string().trim().min(1).max(limit.reasonCharsMax).nullable().default(null),
  change: suppliedChange,
} as const;
export const supplied = z.object(suppliedShape);
export type Supplied = z.infer<typeof supplied>;
