import { z } from "zod";
import { role } from "./identity.ts";
import { limit } from "./limit.ts";

/** What makes a request one role's: words and events that the definitions of the agents name. */

/** Words as they stand in a request, in lower case; a `*` at the end stands for any ending. */
const keyword = z
  .string()
  .max(limit.keywordCharsMax)
  .regex(/^[\p{Ll}\p{Lo}\p{N}]+(?: [\p{Ll}\p{Lo}\p{N}]+){0,3}\*?$/u, {
    error: "one to four words in lower case, with * at the end for any ending",
  })
  .refine((text) => !/(?:^| )\S{0,2}\*$/.test(text), { error: "write three characters or more before *" });

/** A kind of event that asks for work: `alert`, `deploy`. */
export const eventName = z
  .string()
  .regex(/^[a-z0-9]+(?:-[a-z0-9]+)*$/, { error: "use a-z, 0-9 and -" })
  .max(64);

const unique = (each: readonly string[]): boolean => new Set(each).size === each.length;
const once = { error: "name each once" };

/** The words and events of one role, as its definition names them. */
export const activation = {
  keywords: z.array(keyword).max(limit.keywordsMax).refine(unique, once).default([]),
  activate: z.array(eventName).max(limit.keywordsMax).refine(unique, once).default([]),
};

/**
 * Why a request went to a role: `name`, the form in which it named the role, else its keywords, each role's in order, the
 * chosen one first. Of an event, all roles that it activates. It explains, and grants nothing: the command says the role.
 */
export const routing = z.strictObject({
  by: z.enum(["event", "keyword", "name"]),
  scores: z
    .array(
      z.strictObject({
        role,
        name: z.string().max(limit.keywordCharsMax).nullable(),
        words: z.array(z.string().max(limit.keywordCharsMax)).max(limit.keywordsMax),
        score: z.int().min(0),
      }),
    )
    .min(1)
    .max(role.options.length),
});
export type Routing = z.infer<typeof routing>;
