import { fork } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { openStore } from "@questbus/store";
import { until } from "@questbus/testkit";
import { expect, test } from "vitest";

const program = fileURLToPath(new URL("../src/main.ts", import.meta.url));

test("one whose parent goes before it said where the broker is ends too, and the state is free", async () => {
  const dir = mkdtempSync(join(tmpdir(), "questbus-told-"));
  try {
    const child = fork(program, ["--state", dir, "--space", "local"], { stdio: "ignore", execArgv: [] });
    const ended = once(child, "exit");
    await until("its database", () => existsSync(join(dir, "questbus.db")));
    child.disconnect();
    expect((await ended)[0]).toBe(1);
    expect(openStore({ dir, mode: "write" }).head().seq).toBe(0);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}, 60_000);
