import { readFileSync } from "node:fs";
import { join } from "node:path";
import { activation, type Fault, QuestbusError, type Role, role, roles } from "@questbus/protocol";
import { z } from "zod";
import { nearWord } from "./near-word.ts";
import { readDocument, readPlacedDocument } from "./yaml-document.ts";

/**
 * `agents/<role>/AGENT.md`: front matter with the names Claude Code uses for a subagent, so that the file loads there
 * unchanged, and our keys under the one map `questbus`. A key in our map that we do not know is an error; at the top
 * level it is a warning, because other programs read the file too.
 */
const claudeCodeKeys = [
  "tools",
  "disallowedTools",
  "model",
  "permissionMode",
  "maxTurns",
  "skills",
  "mcpServers",
  "hooks",
  "memory",
  "background",
  "isolation",
  "color",
  "effort",
];

const sentence = z.string().trim().min(1).max(400);

const definitionSchema = z
  .object({
    name: z
      .string()
      .regex(/^[a-z0-9]+(-[a-z0-9]+)*$/, { error: "kebab-case, at most 64" })
      .max(64),
    description: z.string().trim().min(1).max(1_024),
    tools: z.union([z.string(), z.array(z.string())]).optional(),
    questbus: z.strictObject({
      role,
      /** What this role does in each phase; shown with the role's work. */
      phases: z.strictObject({ test: sentence, fix: sentence, validate: sentence }),
      /** Globs this role must never write, whatever a quest says. */
      never: z.array(z.string().min(1)).default([]),
      /** Programs that its fixers and command agents may start, by name; `*`: any. */
      commands: z.array(z.string().min(1)).default(["*"]),
      ...activation,
    }),
  })
  .loose();

export type AgentDefinition = {
  name: string;
  description: string;
  role: Role;
  phases: { test: string; fix: string; validate: string };
  never: string[];
  /** Words that make a request this role's, and events that it is asked at. */
  keywords: string[];
  activate: string[];
  commands: string[];
  /** Tools that coding agents may be given in this role, by the names of Claude Code. */
  tools: string[];
  /** The Markdown below the front matter: the role's instructions. */
  body: string;
};

/** The front matter and what stands below it. */
function partsOf(text: string, file: string): { front: string; body: string } {
  const match = /^---\r?\n([\s\S]*?)\r?\n---\r?\n([\s\S]*)$/.exec(text);
  if (!match) {
    throw new QuestbusError({
      code: "AGENT_FILE_INVALID",
      message: "the file does not begin with front matter between two lines of ---",
      where: `${file}:1:1`,
      next: "see agents/qa/AGENT.md for the form",
    });
  }
  const [, front = "", body = ""] = match;
  return { front, body };
}

const reading = (file: string) => ({ file, code: "AGENT_FILE_INVALID", lineOffset: 1 }) as const;

/** @throws QuestbusError AGENT_FILE_INVALID with file:line:column of every fault. */
export function parseDefinition(text: string, file: string): AgentDefinition {
  const { front, body } = partsOf(text, file);
  const data = readDocument(front, { ...reading(file), schema: definitionSchema });
  const { name, description, questbus, tools = [] } = data;
  const named = typeof tools === "string" ? tools.split(",") : tools;
  return {
    name,
    description,
    ...questbus,
    tools: named.map((each) => each.trim()).filter((each) => each !== ""),
    body: body.trim(),
  };
}

const knownKeys = ["name", "description", "questbus", ...claudeCodeKeys];

/**
 * Where the name stands, and a warning for each key at the top that neither we nor Claude Code know.
 *
 * @throws QuestbusError AGENT_FILE_INVALID when there is no front matter, or it is no YAML map
 */
export function inspectKeys(text: string, file: string): { nameAt: string | null; warnings: Fault[] } {
  const { front } = partsOf(text, file);
  const { data, placeOf, placeOfKey } = readPlacedDocument(front, {
    ...reading(file),
    schema: z.looseObject({}),
  });
  const warnings = Object.keys(data)
    .filter((key) => !knownKeys.includes(key))
    .map((key): Fault => {
      const meant = nearWord(key, knownKeys);
      return {
        code: "AGENT_FILE_INVALID",
        message: `${key}: unknown key`,
        where: placeOfKey(key),
        next: meant ? `did you mean ${meant}?` : "remove it, unless another program reads it",
      };
    });
  return { nameAt: placeOf("name"), warnings };
}

/** The definitions of all roles. */
export const loadDefinitions = (root: string): AgentDefinition[] =>
  roles.map((each) => loadDefinition(root, each));

/** The definition of a role's agent, from `<root>/<role>/AGENT.md`. */
export function loadDefinition(root: string, forRole: Role): AgentDefinition {
  const file = join(root, forRole, "AGENT.md");
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch {
    const fault: Fault = {
      code: "AGENT_FILE_INVALID",
      message: "the definition is missing",
      where: file,
      next: "restore the file",
    };
    throw new QuestbusError(fault);
  }
  const definition = parseDefinition(text, file);
  if (definition.role !== forRole || definition.name !== forRole) {
    throw new QuestbusError({
      code: "AGENT_FILE_INVALID",
      message: `the file defines ${definition.name} of role ${definition.role}, but its folder is ${forRole}`,
      where: file,
      next: "name, role and folder must be the same",
    });
  }
  return definition;
}
