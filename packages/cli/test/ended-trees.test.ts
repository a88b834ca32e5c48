import { existsSync, mkdirSync } from "node:fs";
import { spaceDefault } from "@questbus/protocol";
import { openPlace, startBareStack, until } from "@questbus/testkit";
import { submission } from "@questbus/testkit/scripted-report";
import { expect, test, vi } from "vitest";
import { watchEnded } from "../src/ended-trees.ts";

vi.setConfig({ testTimeout: 60_000 });

test("the trees of a quest go when it ends while nobody works on it, or when the next stack starts; others stay", async () => {
  const place = openPlace("ended");
  const state = place.path("state");
  mkdirSync(state);
  const stack = await startBareStack(state);
  try {
    const operator = await stack.clientAs("operator");
    const begun = async (title: string): Promise<{ quest: string; tree: string }> => {
      const { quest } = (await operator.request("submit", submission({ title }))) as { quest: string };
      const tree = `${state}/quests/${quest}/trees/work`;
      mkdirSync(tree, { recursive: true });
      return { quest, tree };
    };
    const end = ({ quest }: { quest: string }) => operator.request("cancel", { quest, reason: "seen" });
    const [before, meanwhile, stays] = [await begun("one"), await begun("two"), await begun("three")];
    await end(before);
    const stop = await watchEnded(state, { url: stack.url, space: spaceDefault });
    await until("what was left to be gone", () => !existsSync(before.tree));
    await end(meanwhile);
    await until("its trees to be gone", () => !existsSync(meanwhile.tree));
    await stop();
    expect(existsSync(stays.tree)).toBe(true);
  } finally {
    await stack.stop();
    await place.close();
  }
});
