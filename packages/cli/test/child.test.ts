import { expect, it } from "vitest";
import { logFile, openDeaths, steadyMs } from "../src/child.ts";

it("a death is told once, that it goes on once more, and after a steady time anew", () => {
  const newsOf = openDeaths("qa", "log/qa.log");
  const killed = { exitCode: null, signalCode: "SIGKILL" } as const;
  const failed = { exitCode: 1, signalCode: null };
  expect([newsOf(killed, 10), newsOf(failed, 10), newsOf(failed, 10), newsOf(failed, steadyMs + 1)]).toEqual([
    "qa died (SIGKILL), and is started again",
    "qa died again (exit code 1): it is tried on and on, and log/qa.log says why",
    null,
    "qa died (exit code 1), and is started again",
  ]);
});

it.skipIf(process.platform !== "linux")("a log on a full disk ends nothing", () => {
  const { onLog, close } = logFile("/dev/full");
  expect(() => onLog("a line of the broker")).not.toThrow();
  close();
});
