import { existsSync, mkdirSync, symlinkSync } from "node:fs";
import { openPlace, questbus, startQuestbus, until } from "@questbus/testkit";
import { expect, test } from "vitest";

/** A machine without bubblewrap and unshare: what else is started by name is there. */
function bareMachine() {
  const place = openPlace("level", "required");
  const bin = place.path("bin");
  mkdirSync(bin);
  for (const name of ["sh", "git", "node", "cat", "grep", "rm"]) {
    const found = (process.env.PATH ?? "")
      .split(":")
      .concat("/bin")
      .map((dir) => `${dir}/${name}`);
    symlinkSync(found.find((path) => existsSync(path)) ?? process.execPath, `${bin}/${name}`);
  }
  return { place, env: { ...place.env, PATH: bin } };
}

test("nothing is started where nothing can be shut in, unless the operator says so; the audit has what was reached", async () => {
  const { place, env } = bareMachine();
  const refusal = await questbus(place, ["up", "--state", "state"], { env });
  expect(refusal.exit).toBe(1);
  expect(refusal.stderr).toMatch(
    /SANDBOX_MISSING[\s\S]*apt-get install bubblewrap[\s\S]*--unsafe-no-sandbox/,
  );
  const stack = startQuestbus(place, ["up", "--state", "state", "--unsafe-no-sandbox"], { env });
  await until("the stack to be up", () => stack.printed().stdout !== "");
  expect(stack.printed().stderr).toContain("no sandbox");
  const joined = async (): Promise<string[]> => {
    const { stdout } = await questbus(place, ["audit", "--state", "state", "--json"]);
    return stdout.split("\n").filter((line) => line.includes("agent.joined"));
  };
  await expect.poll(async () => (await joined()).length, { timeout: 15_000 }).toBe(4);
  for (const line of await joined()) expect(line).toMatch(/"sandbox": ?"none"/);
  stack.signal("SIGINT");
  await stack.ended;
  await place.close();
});
