import { resolve } from "node:path";
import type { BusClient } from "@questbus/bus";
import { matchOf, memoryIdOf, memorySeqOf, memoryThere, ranked, standing, wordsOf } from "@questbus/core";
import { exitCode, isShared, type Memory, type MemoryKind, type RememberAnswer } from "@questbus/protocol";
import type { FoundMemory, StoreReader } from "@questbus/store";
import { targetRoot } from "@questbus/workbench";
import type { Common } from "./command-run.ts";
import { ago, note, paint, printData, printJson, table } from "./output.ts";
import { withStack, withStore } from "./session.ts";

const listMax = 100;

/** As people and programs read a memory. */
const shownMemory = ({ seq, role, name, relevance: _, ...memory }: Memory & { relevance?: number }) => ({
  memory: memoryIdOf(seq),
  by: `${role}/${name}`,
  ...memory,
  standing: Number(standing(memory).toFixed(4)),
});

/** `questbus memory search`: as an assignment would find them, the suspected ones too. */
export async function searchMemories(
  words: readonly string[],
  { kind, repo }: { kind?: MemoryKind; repo?: string },
  common: Common,
): Promise<number> {
  const project = repo === undefined ? null : await targetRoot(resolve(repo));
  return withStore(common.state, (store) => {
    const found = findIn(store, words, { kind, project });
    if (common.json) printJson(found.map(shownMemory));
    else if (found.length === 0) printData("no memories");
    else {
      const head = ["memory", "kind", "what", "by", "helped", "standing"];
      const rows = found.map((each) => {
        const { memory, kind: of, text, by, standing: rank } = shownMemory(each);
        return [memory, of, short(text), by, helped(each), rank.toFixed(3)];
      });
      printData(...table(head, rows));
      if (found.length === listMax) note(`${listMax} are shown: name more words to see others`);
    }
    return exitCode.ok;
  });
}

function findIn(
  store: StoreReader,
  words: readonly string[],
  { kind, project }: { kind: MemoryKind | undefined; project: string | null },
): FoundMemory[] {
  const match = matchOf(wordsOf(words));
  if (match === null && words.length > 0) return [];
  const found = store.findMemories({ match, project, kind, limit: listMax });
  return match === null ? found : ranked(found, listMax);
}

const textCharsMax = 80;
const short = (text: string): string =>
  text.length > textCharsMax ? `${text.slice(0, textCharsMax - 3)}...` : text;

const helped = ({ uses, successes, suspected }: Memory): string =>
  suspected.length > 0 ? "suspected" : uses === 0 ? "not tried" : `${successes} of ${uses}`;

/** `questbus memory show ID` */
export function showMemory(id: string, common: Common): number {
  return withStore(common.state, (store) => {
    const memory = memoryThere(store.getMemory(memorySeqOf(id)), id);
    if (common.json) printJson(shownMemory(memory));
    else printMemory(memory);
    return exitCode.ok;
  });
}

function printMemory(found: Memory): void {
  const {
    memory,
    kind,
    text,
    tags,
    by,
    project,
    quest,
    keptMs,
    uses,
    successes,
    suspected,
    standing: rank,
  } = shownMemory(found);
  printData(
    `${paint("bold", memory)}  ${kind}  ${ago(keptMs, Date.now())} by ${by}${quest ? ` in ${quest}` : ""}`,
  );
  printData(text);
  if (tags.length > 0) printData(`tags: ${tags.join(", ")}`);
  printData(`project: ${project ?? "any"}`);
  printData(
    uses === 0
      ? `not tried yet (standing ${rank.toFixed(3)})`
      : `given in ${uses === 1 ? "1 pass" : `${uses} passes`} that came to a verdict, ${successes} of them proved a gain (standing ${rank.toFixed(3)})`,
  );
  if (suspected.length > 0)
    printData(`it speaks to its reader (${suspected.join(", ")}): it is given to no assignment`);
}

/** `questbus memory add TEXT` */
export async function addMemory(
  text: string,
  { kind, tag: tags, repo }: { kind: MemoryKind; tag: string[]; repo: string },
  common: Common,
): Promise<number> {
  const project = isShared(kind) ? {} : { project: await targetRoot(resolve(repo)) };
  return asOperator(common, "any", async (operator) => {
    const answer = (await operator.request("remember", { kind, text, tags, ...project })) as RememberAnswer;
    if (common.json) printJson(answer);
    else printData(answer.isNew ? answer.memory : `${answer.memory} says so already`);
    if (answer.suspected.length > 0)
      note(`it speaks to its reader (${answer.suspected.join(", ")}), and is given to no assignment`);
    return exitCode.ok;
  });
}

/** `questbus memory forget ID...`: every id has to be there before the first is forgotten. */
export function forgetMemories(ids: readonly string[], reason: string, common: Common): Promise<number> {
  return asOperator(common, "stored", async (operator, store) => {
    for (const id of ids) memoryThere(store.getMemory(memorySeqOf(id)), id);
    for (const memory of ids) {
      const answer = await operator.request("forget", { memory, reason });
      if (common.json) printJson(answer);
      else printData(`${memory} was forgotten`);
    }
    return exitCode.ok;
  });
}

/** Where nothing runs, the orchestrator is started alone: no agent takes anything up meanwhile. */
const asOperator = (
  { state, signal }: Common,
  running: "stored" | "any",
  work: (operator: BusClient, store: StoreReader) => Promise<number>,
): Promise<number> =>
  withStack({ stateDir: state, running, signal, agents: false }, async (session) =>
    work(await session.clientAs("operator"), session.store),
  );
