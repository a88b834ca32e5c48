import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { expect, it } from "vitest";

it("a process that cannot go on ends as failed, also when its parent never takes what it says", async () => {
  const child = fork(join(import.meta.dirname, "../src/main.ts"), ["--state", "/dev/null/state"], {
    execArgv: ["--import", "data:text/javascript,process.send=()=>true"],
    stdio: ["ignore", "ignore", "ignore", "ipc"],
  });
  expect(await once(child, "exit")).toEqual([1, null]);
});
