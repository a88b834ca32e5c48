import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { addCredential } from "@questbus/bus";
import { afterEach, expect, test, vi } from "vitest";
import { type JoinOptions, joinAs } from "../src/index.ts";

afterEach(() => vi.unstubAllEnvs());

test("who joins without a credential is told what to name", async () => {
  await expect(joinAs({ role: "qa" } as JoinOptions)).rejects.toMatchObject({
    code: "USAGE",
    faults: [{ where: "credentials", next: expect.stringContaining("questbus agent add") }],
  });
});

test("NATS_URL is read as the stack reads it: what is no address is told, not dialled", async () => {
  const dir = mkdtempSync(join(tmpdir(), "questbus-join-"));
  const { path } = addCredential(dir, { role: "qa", name: "mine" });
  vi.stubEnv("NATS_URL", "nats://one:4222,nats://two:4222");
  await expect(joinAs({ credentials: path, role: "qa" })).rejects.toMatchObject({
    code: "USAGE",
    message: expect.stringContaining("NATS_URL"),
  });
  rmSync(dir, { recursive: true });
});

test("a credential that was carried elsewhere: where its stack's state is can be named", async () => {
  const dir = mkdtempSync(join(tmpdir(), "questbus-join-"));
  const { path } = addCredential(dir, { role: "qa", name: "mine" });
  const carried = join(dir, "qa-other.nk");
  copyFileSync(path, carried);
  const missing = join(dir, "nope.nk");
  await expect(joinAs({ credentials: missing, role: "qa" })).rejects.toMatchObject({
    code: "AGENT_NOT_FOUND",
  });
  vi.useFakeTimers();
  const joining = joinAs({ credentials: carried, role: "qa" }).catch((error: unknown) => error);
  await vi.advanceTimersByTimeAsync(11_000);
  vi.useRealTimers();
  expect(await joining).toMatchObject({
    code: "NOT_RUNNING",
    faults: [{ next: expect.stringContaining("--state DIR") }],
  });
  rmSync(dir, { recursive: true });
});
