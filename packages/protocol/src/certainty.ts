import { z } from "zod";
import { limit } from "./limit.ts";

/** How sure an agent says it is, and what it has seen: words that any answer may carry. */

/** A share, not a percentage. */
const certainty = z.number().min(0).max(1, { error: "from 0 to 1: 95 % is 0.95" });

/** Where an answer comes from: a path with a line, an address, a command, the hash of an artifact. */
const source = z.string().trim().min(1).max(limit.sourceCharsMax);

/** The keys of an answer that says how sure it is. Who leaves `certainty` out has not said it. */
export const statedShape = {
  certainty: certainty.optional(),
  sources: z.array(source).max(limit.sourcesMax).optional(),
};

export type Stated = { certainty?: number | undefined; sources?: string[] | undefined };
