import type { Actor, Answer, AskAnswer, AskGrant, ClaimAnswer, CommandData, Phase } from "@questbus/protocol";
import { phases } from "@questbus/protocol";
import { describe, expect, test } from "vitest";
import { agent, dataOf, openRig, operator, pass, poke, post, type Rig, send } from "./rig.ts";

const qa = agent("qa", "q1");
const ask = (rig: Rig, change: Partial<CommandData["ask"]>, id?: string) =>
  post(
    rig,
    operator,
    "ask",
    { role: "qa", phases: ["test"], text: "?", data: null, waitMs: 20_000, ...change },
    id,
  );

async function take(rig: Rig, who: Actor, askPhases: readonly Phase[] = phases): Promise<AskGrant[]> {
  const wanted = { waitMs: 0, asks: 8, askPhases: [...askPhases] };
  const answer = dataOf<ClaimAnswer>(await send(rig, who, "claim", wanted));
  return answer.status === "asked" ? answer.asks : [];
}

const report = (rig: Rig, { assignment, epoch }: AskGrant, phase: Phase, result: unknown, who = qa) =>
  send(rig, who, "report", { task: "ask", asks: [{ assignment, epoch, phase, result, fault: null }] });

describe("an agent that says which phases of asks it takes", () => {
  const waitsFor = (rig: Rig, name: string, askPhases: Phase[], asks = 1) =>
    post(rig, agent("qa", name), "claim", { waitMs: 20_000, asks, askPhases });
  const given = ({ answers }: { answers: readonly Answer[] }): string[] =>
    answers.flatMap((each) => {
      const told = dataOf<ClaimAnswer>(each);
      return told.status === "asked" ? told.asks.map(({ text, phase }) => `${text} ${phase}`) : [told.status];
    });

  test("gets no others; they wait for one that takes them, and its claim is woken", async () => {
    const rig = await openRig();
    const fixer = waitsFor(rig, "talk", ["fix"]);
    await poke(rig);
    const sent = ask(rig, { text: "which suite?", phases: ["test"] });
    await poke(rig);
    expect(given(fixer)).toEqual([]);
    expect(await take(rig, qa, ["fix", "validate"])).toEqual([]);
    const tester = waitsFor(rig, "answers", ["test", "validate"]);
    await poke(rig);
    expect(given(tester)).toEqual(["which suite? test"]);
    ask(rig, { text: "mend it", phases: ["fix"] });
    await poke(rig);
    expect(given(fixer)).toEqual(["mend it fix"]);
    expect(sent.answers).toEqual([]);
  });

  test("whatever they offer and want, nothing is left over that somebody waits for", async () => {
    const kinds: Phase[][] = [["test"], ["fix"], ["test", "fix"], ["test", "fix", "validate"]];
    const rig = await openRig();
    // Every two agents, every two asks, in each order: what is given at once is all that two agents could be given.
    for (const [one, two] of kinds.flatMap((a) => kinds.map((b) => [a, b] as const)))
      for (const [first, second] of [
        ["test", "fix"],
        ["fix", "test"],
        ["fix", "fix"],
      ] as const) {
        const claims = [waitsFor(rig, "one", one), waitsFor(rig, "two", two)];
        await poke(rig);
        ask(rig, { text: "1", phases: [first] });
        ask(rig, { text: "2", phases: [second] });
        await poke(rig);
        const idle = [one, two].filter((_, at) => claims[at]?.answers.length === 0).flat();
        const asked = claims.flatMap(given);
        const left = [`1 ${first}`, `2 ${second}`].filter((each) => !asked.includes(each));
        const fits = left.filter((each) => idle.some((phase) => each.endsWith(phase)));
        expect(fits, `${one} and ${two}, for ${first} and ${second}`).toEqual([]);
        expect(new Set(asked).size).toBe(asked.length);
        for (const name of ["one", "two"]) await send(rig, agent("qa", name), "leave", {});
        for (const each of await take(rig, qa)) await report(rig, each, each.phase, "so");
      }
  });

  test("gives the next phase back where that is not its own: another goes on, with what was found", async () => {
    const rig = await openRig();
    const sent = ask(rig, { phases: ["test", "fix"] });
    const [first] = (await take(rig, qa, ["test"])) as [AskGrant];
    const fixer = waitsFor(rig, "talk", ["fix"]);
    await report(rig, first, "test", "red");
    expect(given(fixer)).toEqual([]);
    await send(rig, qa, "release", { assignment: first.assignment, epoch: 1, reason: "not its phase" });
    expect(await take(rig, qa, ["test"])).toEqual([]);
    expect(dataOf(fixer.answers[0] as Answer)).toMatchObject({ asks: [{ epoch: 2, results: ["red"] }] });
    await report(rig, { ...first, epoch: 2 }, "fix", "mended", agent("qa", "talk"));
    expect(dataOf(await sent.answer)).toMatchObject({ status: "answered", results: ["red", "mended"] });
  });

  test("who asked is told that nobody takes the phase, and what is taken; and who has it", async () => {
    const rig = await openRig();
    waitsFor(rig, "talk", ["fix"]);
    await poke(rig);
    const pending = async (phases: Phase[], id: string) =>
      dataOf<AskAnswer>(await ask(rig, { phases, waitMs: 0 }, id).answer);
    const waits = { status: "pending", phase: "test", takers: false, takes: ["fix"], holder: null };
    expect(await pending(["test"], "c-test")).toMatchObject(waits);
    const late = ask(rig, { phases: ["test"], waitMs: 500 }, "c-test");
    await pass(rig, 501);
    expect(dataOf(await late.answer)).toMatchObject(waits);
    await pending(["fix"], "c-fix");
    const held = { status: "pending", phase: "fix", takers: true, takes: ["fix"], holder: "qa/talk" };
    expect(await pending(["fix"], "c-fix")).toMatchObject(held);
    expect(await pending(["test"], "c-test")).toMatchObject(waits);
  });
});
