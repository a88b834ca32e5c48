import { describe, expect, it } from "vitest";
import { readMachineMarks, sharesBetween } from "../src/machine-marks.ts";

type Marks = Awaited<ReturnType<typeof readMachineMarks>>;
const marks = (over: Partial<Marks> = {}): Marks => ({
  cpuStallUs: 1_000,
  memoryStallUs: null,
  diskStallUs: 0,
  diskBusyMs: new Map([
    ["sda", 10],
    ["sdb", 0],
  ]),
  oomKills: 2,
  ...over,
});

describe("what a machine suffered between two looks", () => {
  it("shares of the time between them; what is not known stays so", () => {
    const later = marks({ cpuStallUs: 51_000, diskBusyMs: new Map([["sda", 30]]), oomKills: 3 });
    expect(sharesBetween(marks(), later, 100)).toMatchObject({
      cpuStall: 0.5,
      memoryStall: null,
      diskStall: 0,
      diskBusy: 0.2,
      oomKills: 1,
    });
  });

  it.each([
    ["a counter that was set back", { cpuStallUs: 0 }, 100, 0],
    ["more than the time itself", { cpuStallUs: 9e9 }, 100, 1],
    ["no time at all", { cpuStallUs: 51_000 }, 0, null],
  ])("%s", (_, over, wallMs, cpuStall) => {
    expect(sharesBetween(marks(), marks(over), wallMs).cpuStall).toBe(cpuStall);
  });

  it("this machine can be looked at, whatever it has", async () => {
    const found = sharesBetween(await readMachineMarks(), await readMachineMarks(), 10);
    expect(found.memoryBytes).toBeGreaterThan(0);
    for (const share of [found.cpuStall, found.memoryStall, found.diskStall, found.diskBusy])
      if (share !== null) expect(share).toBeGreaterThanOrEqual(0);
  });
});
