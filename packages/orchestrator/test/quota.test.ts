import { describe, expect, it } from "vitest";
import {
  agent,
  close,
  codeOf,
  granted,
  openRig,
  operator,
  pass,
  play,
  type Rig,
  rows,
  send,
  stateOf,
  submit,
} from "./rig.ts";

/** Quests whose fixer's quota is used up: they stand until it is back, and others run. */

const minute = 60_000;
const asking = (quotaWait = "1h") => ({ title: "asks a CLI", fixers: [{ cli: "claude", quotaWait }] });
const waiting = { status: "running", task: null };

/** Plays until the quest stands still. */
async function waits(rig: Rig, pauses = [minute], quotaWait?: string): Promise<string> {
  const quest = await submit(rig, asking(quotaWait));
  await play(rig, quest, [{ quota: pauses }]);
  return quest;
}

describe("a quest that waits for a quota", () => {
  it("lets another quest measure, and goes on when the quota is back and the machine is free", async () => {
    const rig = await openRig();
    const one = await waits(rig);
    expect(stateOf(rig, one)).toMatchObject(waiting);
    const two = await submit(rig);
    expect(stateOf(rig, two).status).toBe("running");
    await pass(rig, minute);
    expect(stateOf(rig, one), "the machine is not free").toMatchObject(waiting);
    expect((await play(rig, two)).status).toBe("accepted");
    expect(stateOf(rig, one).task).toBe("produce");
    expect((await play(rig, one)).status).toBe("accepted");
    expect(stateOf(rig, one).passes).toHaveLength(1);
  });

  it("goes on by its timer, not before, and counts its waits", async () => {
    const rig = await openRig();
    const quest = await waits(rig, [minute, 2 * minute]);
    await pass(rig, minute - 1);
    expect(stateOf(rig, quest)).toMatchObject(waiting);
    await pass(rig, 1);
    expect(stateOf(rig, quest).task).toBe("produce");
    await play(rig, quest, [{ quota: [minute, 2 * minute] }]);
    expect(stateOf(rig, quest).passes[0]?.quota).toMatchObject({ waits: 2, waitedMs: 3 * minute });
    await pass(rig, 2 * minute);
    const { brief } = await granted(rig, agent("performance"));
    expect(brief.quota).toEqual({ waits: 2, waitedMs: 3 * minute });
    expect(rows(rig.store, "quota.awaited")).toHaveLength(2);
  });

  it("goes on after a restart in its wait", async () => {
    const rig = await openRig();
    const quest = await waits(rig);
    const { nowMs } = rig.clock;
    await close(rig);
    const again = await openRig({ dir: rig.dir });
    again.clock.nowMs = nowMs;
    await pass(again, minute - 1);
    expect(stateOf(again, quest)).toMatchObject(waiting);
    await pass(again, 1);
    expect((await play(again, quest)).status).toBe("accepted");
  });

  it("waits no longer in all than its fixer says, whatever its agent says", async () => {
    const rig = await openRig();
    const quest = await waits(rig, [minute, minute], "90s");
    await pass(rig, minute);
    const state = await play(rig, quest, [{ quota: [minute, minute] }]);
    expect(state.status).toBe("escalated");
    expect(state.passes[0]?.crash).toMatchObject({ code: "FIXER_QUOTA" });
  });

  it("ends with its budget, and can be cancelled", async () => {
    const rig = await openRig();
    const quest = await submit(rig, { ...asking("5h"), budget: { wallClock: "30m" } });
    await play(rig, quest, [{ quota: [60 * minute] }]);
    await pass(rig, 30 * minute);
    expect(stateOf(rig, quest).passes[0]?.verdict?.reasons.join()).toContain("waiting for a quota");
    const second = await openRig();
    const cancelled = await waits(second);
    expect(codeOf(await send(second, operator, "cancel", { quest: cancelled, reason: "no" }))).toBe("ok");
    await pass(second, minute);
    expect(stateOf(second, cancelled).status).toBe("cancelled");
  });

  it("of which no fixer has a quota is refused", async () => {
    const rig = await openRig();
    const quest = await submit(rig);
    await expect(play(rig, quest, [{ quota: [minute] }])).rejects.toThrow("MESSAGE_INVALID");
  });
});
