import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { addCredential, removeCredential } from "@questbus/bus";
import { openStore } from "@questbus/store";
import { expect, test } from "vitest";
import { openGateway } from "../src/mcp-gateway.ts";

test("whose credential was revoked reads nothing of the state any more", async () => {
  const state = mkdtempSync(join(tmpdir(), "questbus-gateway-"));
  openStore({ dir: state, mode: "write" }).close();
  const who = { role: "qa", name: "mine" } as const;
  const gateway = openGateway(state, who, addCredential(state, who));
  expect(gateway.reads.quests({ limit: 10 })).toEqual([]);
  removeCredential(state, who);
  const refused = expect.objectContaining({ code: "CREDENTIAL_REFUSED" });
  expect(() => gateway.reads.quests({ limit: 10 })).toThrow(refused);
  expect(() => gateway.reads.journal({ afterSeq: 0, limit: 10 })).toThrow(refused);
  await expect((async () => gateway.reads.agents())()).rejects.toEqual(refused);
  await gateway.close();
  rmSync(state, { recursive: true });
});
