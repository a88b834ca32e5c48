import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { openPlace, type Place, questbus, startQuestbus, until } from "@questbus/testkit";
import { afterAll, beforeAll, expect, test, vi } from "vitest";

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

let place: Place;
beforeAll(() => {
  place = openPlace("checkpoint-key");
});
afterAll(() => place.close());

test("a key of checkpoints that cannot be read: up, status and doctor say what to do", async () => {
  const key = place.path("state/credentials/checkpoint-key.pem");
  mkdirSync(dirname(key), { recursive: true });
  writeFileSync(key, "no key");
  const wayOut = `move ${key} away`;
  const up = startQuestbus(place, ["up", "--state", "state"]);
  await until("it is up, and has said so", () => up.printed().stderr.includes(wayOut));
  expect((await questbus(place, ["status", "--state", "state"])).stderr).toContain(wayOut);
  const doctor = await questbus(place, ["doctor", "--state", "state"]);
  expect(doctor.exit).toBe(1);
  expect(doctor.stdout).toMatch(/✗ checkpoint key +.*cannot be read.*move .* away/);
  up.signal("SIGINT");
  await up.ended;
});
