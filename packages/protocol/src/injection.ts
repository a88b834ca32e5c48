import { z } from "zod";
import { limit } from "./limit.ts";

/** What a text of an agent, a repository or a tool shows signs of, when it speaks to whoever reads it. */
export const injectionKinds = [
  /** The reader is to take a role, or the writer takes one. */
  "role",
  /** What the reader was told is to count no more. */
  "override",
  /** Marks by which a conversation with a model tells who speaks. */
  "forged-turn",
  /** A verdict, sign-off or approval is demanded. */
  "verdict",
  /** A command of the bus or of a shell, or a secret to be sent somewhere. */
  "command",
  /** Characters that people do not see, and models read. */
  "hidden",
] as const;
export type InjectionKind = (typeof injectionKinds)[number];

/** One text with such signs: a record, which decides nothing. */
export const injectionSign = z.strictObject({
  /** Whose words they are: the agent's own, those of a file or commit, or what a command printed. */
  from: z.enum(["agent", "repository", "tool"]),
  /** Path in the event's body, or path:line in the repository. */
  where: z.string().max(limit.placeCharsMax),
  kinds: z.array(z.enum(injectionKinds)).min(1),
  excerpt: z.string().max(limit.noteCharsMax),
});
export type InjectionSign = z.infer<typeof injectionSign>;

/** The body of `injection.suspected`: signs in what an agent, `role/name`, sent in row `row` of the journal. */
export const injectionEventBody = {
  "injection.suspected": z.object({
    agent: z.string(),
    row: z.int().min(1),
    signs: z.array(injectionSign).min(1).max(limit.injectionSignsMax),
  }),
} as const;
