import { statSync } from "node:fs";
import { joinAs } from "@questbus/agent";
import { type BusConnection, connectBus, createClient } from "@questbus/bus";
import { openStore } from "@questbus/store";
import { openPlace, type Place, questbus, type Running, startQuestbus, until } from "@questbus/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";

/** Agents of a user's own come and go, on the stack as users start it. */

let place: Place;
let up: Running | null = null;

const agent = (...args: string[]) => questbus(place, ["agent", ...args]);
type Listed = { name: string; role: string; connected: boolean | null }[];
const listed = async (): Promise<Listed> => JSON.parse((await agent("list", "--json")).stdout);
const startUp = async (): Promise<string> => {
  const running = startQuestbus(place, ["up", "--json"]);
  up = running;
  await until("the stack is up", () => running.printed().stdout.includes("\n"));
  return JSON.parse(running.printed().stdout).url;
};
const endUp = async (): Promise<void> => {
  up?.signal("SIGINT");
  await up?.ended;
  up = null;
};
const join = (url: string, file: string): Promise<BusConnection> =>
  connectBus({ url, credential: place.path(file) });

/** The journal says that this agent came. */
function joined(name: string): boolean {
  const store = openStore({ dir: place.path(".questbus"), mode: "read" });
  try {
    return store.listAgents().some((each) => each.name === name);
  } finally {
    store.close();
  }
}

beforeAll(() => {
  place = openPlace("agent");
});
afterAll(async () => {
  await endUp();
  place.close();
});

test("without a stack a credential is made for the next one; names are taken once, and must be names", async () => {
  const made = await agent("add", "early", "--role", "qa");
  expect(made).toMatchObject({ exit: 0, stdout: ".questbus/credentials/qa-early.nk\n" });
  expect(made.stderr).toContain("no stack is running");
  expect(statSync(place.path(".questbus/credentials/qa-early.nk")).mode & 0o777).toBe(0o600);
  expect(await listed()).toMatchObject([{ name: "early", role: "qa", connected: null }]);
  const wrong = [
    [["add", "early", "--role", "qa"], 5, "AGENT_EXISTS"],
    [["add", "ops", "--role", "ops"], 5, "AGENT_EXISTS"],
    [["add", "a.b", "--role", "qa"], 2, "USAGE"],
    [["revoke", "nobody", "--role", "qa"], 3, "AGENT_NOT_FOUND"],
  ] as const;
  const said = await Promise.all(wrong.map(([args]) => agent(...args)));
  for (const [at, [args, exit, code]] of wrong.entries())
    expect([said[at]?.exit, said[at]?.stderr.includes(`error ${code}`)], args.join(" ")).toEqual([
      exit,
      true,
    ]);
});

test("the running stack lets one in at once and cuts it off again; the others go on", async () => {
  const url = await startUp();
  const early = await join(url, ".questbus/credentials/qa-early.nk");
  let downs = 0;
  early.onDown(() => {
    downs += 1;
  });
  const added = await agent("add", "late", "--role", "performance", "--json");
  expect(JSON.parse(added.stdout)).toMatchObject({ name: "late", role: "performance", admitted: true });
  const credentials = place.path(".questbus/credentials/performance-late.nk");
  await using late = await joinAs({ credentials, role: "performance" });
  const working = late.handle({ test: () => "asked" }).catch((error: unknown) => error);
  await until("it has joined", () => joined("late"));
  // The stack's own see first what commands can be shut in, and may come after it.
  const connected = async (): Promise<string[]> =>
    (await listed())
      .filter((each) => each.connected)
      .map(({ name }) => name)
      .sort();
  const all = ["architect", "early", "late", "ops", "performance", "qa"];
  await expect.poll(connected, { timeout: 15_000 }).toEqual(all);
  const revoked = await agent("revoke", "late", "--role", "performance");
  expect(revoked).toMatchObject({ exit: 0, stdout: "performance/late was revoked\n" });
  expect(await working).toMatchObject({ code: "CREDENTIAL_REFUSED" });
  await createClient(early).request("hello", { incarnation: "one", pid: process.pid });
  expect(downs).toBe(0);
  await early.close();
  await endUp();
});
