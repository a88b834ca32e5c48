import { createHash } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { type PlacedDocument, readPlacedDocument } from "@questbus/agent";
import {
  type CommandData,
  type Fault,
  limit,
  QuestbusError,
  type QuestDocument,
  questDocument,
} from "@questbus/protocol";
import { type Artifacts, admit, openArtifacts } from "@questbus/workbench";

/** @throws QuestbusError QUEST_FILE_MISSING or QUEST_FILE_INVALID, with file:line:column of every fault. */
function readQuestFile(file: string): PlacedDocument<QuestDocument> {
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
    const isFolder = statSync(file, { throwIfNoEntry: false })?.isDirectory();
    const message = isFolder ? `${file} is a folder` : `there is no quest file ${file} that can be read`;
    throw new QuestbusError({
      code: "QUEST_FILE_MISSING",
      message,
      where: file,
      next: "name a quest file; README.md shows one, docs/quest.md every key",
    });
  }
  return readPlacedDocument(text, { file, code: "QUEST_FILE_INVALID", schema: questDocument });
}

type PlaceOf = PlacedDocument<QuestDocument>["placeOf"];

/** A fault of what the quest names, with its place in the quest file where that is known. */
const placedFault = (fault: Fault, placeOf: PlaceOf): Fault => ({
  ...fault,
  where: (fault.where && placeOf(fault.where)) ?? fault.where,
});

/** The same error, each of its faults with its place. */
export function placedError(error: QuestbusError, placed: Submission["placed"]): QuestbusError {
  const [first, ...rest] = error.faults.map(placed);
  return first ? new QuestbusError(first, ...rest) : error;
}

/** @throws QuestbusError USAGE where there is no goal to raise */
function acceptingDetectable(document: QuestDocument): QuestDocument {
  const { goal } = document;
  if (goal?.improveBy) return { ...document, goal: { ...goal, acceptDetectable: true } };
  throw new QuestbusError({
    code: "USAGE",
    message: "--accept-detectable raises a goal, and this quest has none",
    where: "goal",
    next: "leave it out: without a goal, every gain above the margin counts",
  });
}

/** A quest that may be submitted. Its patches are stored with `storePatches`, once there is somebody to take it. */
export type Submission = {
  command: CommandData["submit"];
  storePatches(stateDir: string): Promise<void>;
  /** A fault that was found later, with its place in the quest file; as it is where the quest stands in none. */
  placed(fault: Fault): Fault;
};

/** Reads a quest file and checks all that can be checked before anything runs; nothing is stored. */
export async function readSubmission(
  file: string,
  { acceptDetectable }: { acceptDetectable: boolean },
): Promise<Submission> {
  const { data: written, placeOf } = readQuestFile(file);
  try {
    const data = acceptDetectable ? acceptingDetectable(written) : written;
    const submission = await checkSubmission(data, dirname(resolve(file)));
    return { ...submission, placed: (fault) => placedFault(fault, placeOf) };
  } catch (error) {
    throw error instanceof QuestbusError ? placedError(error, (fault) => placedFault(fault, placeOf)) : error;
  }
}

/** The same for a quest that stands in no file; relative paths in it start at `questDir`. */
export async function checkSubmission(document: QuestDocument, questDir: string): Promise<Submission> {
  const patches: Buffer[] = [];
  const remember: Artifacts["put"] = async (kind, content) => {
    const bytes = Buffer.from(content);
    patches.push(bytes);
    return { kind, sha256: createHash("sha256").update(bytes).digest("hex"), sizeBytes: bytes.length };
  };
  const command = await admit(document, questDir, remember);
  return {
    command,
    placed: (fault) => fault,
    async storePatches(stateDir) {
      const artifacts = openArtifacts(join(resolve(stateDir), "artifacts"));
      for (const patch of patches) await artifacts.put("diff", patch);
    },
  };
}
