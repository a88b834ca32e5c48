import { readFileSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { readDocument } from "@questbus/agent";
import {
  type CommandData,
  limit,
  QuestbusError,
  type QuestDocument,
  questDocument,
} from "@questbus/protocol";
import { admit, openArtifacts } from "@questbus/workbench";

/** @throws QuestbusError QUEST_FILE_MISSING or QUEST_FILE_INVALID, with file:line:column of every fault. */
export function readQuestFile(file: string): QuestDocument {
  let text: string;
  try {
    if (statSync(file).size > limit.questFileBytesMax) {
      throw new QuestbusError({
        code: "QUEST_FILE_INVALID",
        message: "the file is too large to be a quest",
        where: file,
        next: "name a quest file",
      });
    }
    text = readFileSync(file, "utf8");
  } catch (error) {
    if (error instanceof QuestbusError) throw error;
    const message = `there is no quest file ${file} that can be read`;
    throw new QuestbusError({
      code: "QUEST_FILE_MISSING",
      message,
      where: file,
      next: "name a quest file; the README shows one",
    });
  }
  return readDocument(text, { file, code: "QUEST_FILE_INVALID", schema: questDocument });
}

/** Reads a quest file and checks all that can be checked before anything runs; nothing is stored but patches. */
export function readSubmission(file: string, stateDir: string): Promise<CommandData["submit"]> {
  const document = readQuestFile(file);
  return admit(document, dirname(resolve(file)), openArtifacts(join(stateDir, "artifacts")).put);
}
