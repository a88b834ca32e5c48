import { z } from "zod";
import { assignmentId, gitOid, memoryId, questId, sha256 } from "./identity.ts";
import { injectionKinds } from "./injection.ts";
import { limit } from "./limit.ts";

/** The words of memory: what quests learned and agents and operators noted, and what of it an assignment was given. */

export const memoryKinds = ["pattern", "error", "team", "project", "optimization", "slo", "model"] as const;
export const memoryKind = z.enum(memoryKinds).meta({ id: "MemoryKind" });
export type MemoryKind = z.infer<typeof memoryKind>;

/** Kinds that are of no project: they hold wherever this installation works. */
const sharedKinds: readonly MemoryKind[] = ["team", "model"];
export const isShared = (kind: MemoryKind): boolean => sharedKinds.includes(kind);

const tag = z.string().trim().min(1).max(limit.memoryTagCharsMax);
const reason = z.string().trim().min(1).max(limit.reasonCharsMax);
const epoch = z.int().min(1);

export const memoryCommand = {
  /** Keep something for later quests. An agent names the assignment that it holds; an operator may name a project. */
  remember: z.strictObject({
    kind: memoryKind,
    text: z.string().trim().min(1).max(limit.memoryCharsMax),
    tags: z.array(tag).max(limit.memoryTagsMax).default([]),
    assignment: assignmentId.optional(),
    epoch: epoch.optional(),
    /** Absolute path of the target's repository. */
    project: z.string().min(1).max(limit.placeCharsMax).optional(),
  }),
  /** Look for memories of the project that the caller works on; what is found counts as given to its assignment. */
  recall: z.strictObject({
    assignment: assignmentId,
    epoch,
    query: z.string().trim().min(1).max(limit.memoryCharsMax),
    kind: memoryKind.optional(),
    limit: z.int().min(1).max(limit.memoriesFoundMax).default(limit.memoriesGivenMax),
  }),
  /** Take a memory away: it is found and given no more. */
  forget: z.strictObject({ memory: memoryId, reason }),
} as const;

const given = z.array(memoryId);

/** The bodies of the events of memory. None is of a quest to the journal, so that one part of a replay counts them all. */
export const memoryEventBody = {
  "memory.kept": z.object({
    kind: memoryKind,
    text: z.string(),
    tags: z.array(z.string()),
    /** Null: it is of no project. */
    project: z.string().nullable(),
    /** The quest in which it was learned. */
    quest: questId.nullable(),
    /** What it is about, where one more of the same would say nothing new: a tree, say. */
    about: z.string().nullable(),
    /** Signs that it speaks to its reader; with one it is given to nobody. */
    suspected: z.array(z.enum(injectionKinds)),
  }),
  "memory.forgotten": z.object({ memory: memoryId, reason: z.string() }),
  /** A pass in which these were given came to its verdict. */
  "memory.counted": z.object({ quest: questId, pass: z.int().min(1), memories: given, success: z.boolean() }),
} as const;

/** A document of the project, as it stands in the commit that the quest starts from; `text` may be its beginning only. */
export const contextFile = z.strictObject({
  path: z.string().min(1).max(limit.placeCharsMax),
  /** Of the whole file. */
  sha256,
  sizeBytes: z.int().min(0),
  text: z.string(),
});
export type ContextFile = z.infer<typeof contextFile>;

export const projectContext = z
  .array(contextFile)
  .max(limit.contextFilesMax)
  .refine((files) => files.reduce((sum, { text }) => sum + text.length, 0) <= limit.contextBytesMax, {
    error: `at most ${limit.contextBytesMax} characters together`,
  });

/** What an assignment is given in a pass beyond its task: which memories, and which files of which commit. */
export const contextGiven = z.object({
  assignment: assignmentId,
  pass: z.int().min(1),
  memories: given,
  commit: gitOid,
  files: z.array(z.object({ path: z.string(), sha256 })),
});

/** A memory as it stands. */
export type Memory = {
  /** Row of the journal that it came with. */
  seq: number;
  kind: MemoryKind;
  project: string | null;
  quest: string | null;
  /** Whose words they are: the credential's role and name, or the orchestrator's. */
  role: string;
  name: string;
  text: string;
  tags: readonly string[];
  about: string | null;
  suspected: readonly string[];
  keptMs: number;
  /** Passes in which it was given and that were judged, and those of them whose gain was proven. */
  uses: number;
  successes: number;
};

/** A memory as an assignment gets it. */
export type GivenMemory = Pick<
  Memory,
  "kind" | "text" | "tags" | "quest" | "keptMs" | "uses" | "successes"
> & {
  memory: string;
  by: string;
};

/** `isNew` false: it was there already. `suspected`: signs that it speaks to its reader, for which it is given to nobody. */
export type RememberAnswer = { memory: string; isNew: boolean; suspected: readonly string[] };
export type RecallAnswer = { memories: GivenMemory[] };
