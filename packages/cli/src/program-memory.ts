import { type MemoryKind, memoryId, memoryKinds } from "@questbus/protocol";
import { type Command, Option } from "commander";
import { commonOf, type Ended, valid, validEach, withCommon } from "./option.ts";

const each = (value: string, before: string[] = []): string[] => [...before, value];

/** `memory search|show|add|forget`. */
export function addMemory(program: Command, signal: AbortSignal, ended: Ended): void {
  const memory = program
    .command("memory")
    .description("what quests learned, and what people and agents kept for them");
  const kind = (description: string): Option => new Option("--kind <kind>", description).choices(memoryKinds);

  const search = memory
    .command("search")
    .description("find by words, the best first; without words the newest");
  withCommon(search)
    .argument("[words...]", "what it is about")
    .addOption(kind("of one kind"))
    .option("--repo <dir>", "of one project: its repository")
    .action(async (words: string[], given: { kind?: MemoryKind; repo?: string }) => {
      const { searchMemories } = await import("./command-memory.ts");
      ended(await searchMemories(words, given, commonOf(search, signal)));
    });
  const show = memory.command("show").description("show one, and how often it helped");
  withCommon(show)
    .argument("<memory>", "its id", valid(memoryId))
    .action(async (id: string) => {
      const { showMemory } = await import("./command-memory.ts");
      ended(showMemory(id, commonOf(show, signal)));
    });
  const add = memory.command("add").description("keep something for later quests");
  withCommon(add)
    .argument("<text>", "what to know")
    .addOption(kind("what it is; team and model are of no project").makeOptionMandatory())
    .option("--tag <tag>", "a word to find it by; may be given several times", each, [])
    .option("--repo <dir>", "the project's repository", ".")
    .action(async (text: string, given: { kind: MemoryKind; tag: string[]; repo: string }) => {
      const { addMemory: keep } = await import("./command-memory.ts");
      ended(await keep(text, given, commonOf(add, signal)));
    });
  const forget = memory.command("forget").description("take them away: they are found and given no more");
  withCommon(forget)
    .argument("<memory...>", "their ids", validEach(memoryId))
    .option("--reason <text>", "why; it is recorded", "forgotten by the operator")
    .action(async (ids: string[], { reason }: { reason: string }) => {
      const { forgetMemories } = await import("./command-memory.ts");
      ended(await forgetMemories(ids, reason, commonOf(forget, signal)));
    });
}
