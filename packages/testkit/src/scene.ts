import { type Finished, questbus, startQuestbus } from "./command-line.ts";
import { openPlace, type Place } from "./place.ts";
import { makeTarget, type Target } from "./target.ts";
import { until } from "./until.ts";

/** A place with a target and a stack in the foreground: where the quests of one test file run. */
export type Scene = {
  readonly place: Place;
  readonly target: Target;
  /** Runs `questbus ARGS` on the stack, to its end. */
  cli(...args: string[]): Promise<Finished>;
  /** Ends the stack as Ctrl-C does, and gives its exit code. */
  close(): Promise<number | null>;
};

/** `changed` replaces or removes files of the target. */
export async function openScene(
  name: string,
  changed: Readonly<Record<string, string | null>> = {},
): Promise<Scene> {
  const place = openPlace(name, "preferred");
  const target = makeTarget(place, changed);
  const stack = startQuestbus(place, ["up", "--state", "state"]);
  await until("the stack to be up", () => stack.printed().stdout !== "");
  return {
    place,
    target,
    cli: (...args) => questbus(place, [...args, "--state", "state"]),
    async close() {
      stack.signal("SIGINT");
      const { exit } = await stack.ended;
      await place.close();
      return exit;
    },
  };
}
