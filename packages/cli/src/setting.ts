import { existsSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import {
  durationText,
  parseDurationMs,
  QuestbusError,
  type SandboxPolicy,
  sandboxPolicies,
} from "@questbus/protocol";
import { backupsDir } from "@questbus/store/place";
import { z } from "zod";

/** `config.yaml` in the state directory: what an operator sets for good. Every key has a default, and the file is optional. */
const document = z.strictObject({
  backup: z
    .strictObject({
      /** Where backups and segments are kept; relative to the file. */
      to: z.string().min(1).optional(),
      every: durationText.default("1h"),
      keep: z.int().min(1).max(10_000).default(24),
    })
    .prefault({}),
  checkpoints: z.strictObject({ to: z.string().min(1).optional() }).prefault({}),
  sandbox: z.enum(sandboxPolicies).default("required"),
});

export type Settings = {
  backups: { dir: string; everyMs: number; keep: number };
  /** A second folder for checkpoints; null without one. */
  checkpoints: string | null;
  /** Whether what a quest runs is shut in. */
  sandbox: SandboxPolicy;
};

/**
 * The word of the command line, else of QUESTBUS_SANDBOX, else of the settings.
 * @throws QuestbusError USAGE
 */
export function sandboxPolicy(
  given: SandboxPolicy | undefined,
  env: NodeJS.ProcessEnv,
  set: Settings,
): SandboxPolicy {
  if (given) return given;
  const text = env.QUESTBUS_SANDBOX;
  if (!text) return set.sandbox;
  const read = z.enum(sandboxPolicies).safeParse(text);
  if (read.success) return read.data;
  throw new QuestbusError({
    code: "USAGE",
    message: `QUESTBUS_SANDBOX is ${JSON.stringify(text)}`,
    where: "QUESTBUS_SANDBOX",
    next: `write one of ${sandboxPolicies.join(", ")}, or unset it`,
  });
}

/** @throws QuestbusError CONFIG_INVALID, with file:line:column of every fault */
export async function readSettings(stateDir: string): Promise<Settings> {
  const file = join(resolve(stateDir), "config.yaml");
  const data = existsSync(file) ? await readDocument(file) : document.parse({});
  const placed = (path: string): string => resolve(dirname(file), path);
  return {
    backups: {
      dir: data.backup.to ? placed(data.backup.to) : backupsDir(resolve(stateDir)),
      everyMs: parseDurationMs(data.backup.every),
      keep: data.backup.keep,
    },
    sandbox: data.sandbox,
    checkpoints: data.checkpoints.to ? placed(data.checkpoints.to) : null,
  };
}

async function readDocument(file: string): Promise<z.infer<typeof document>> {
  const { readPlacedDocument } = await import("@questbus/agent");
  // A file that sets nothing is no mistake.
  const options = { file, code: "CONFIG_INVALID", schema: document.nullable() } as const;
  return readPlacedDocument(readFileSync(file, "utf8"), options).data ?? document.parse({});
}
