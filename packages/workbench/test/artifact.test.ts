import { readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { openArtifacts } from "../src/artifact.ts";
import { refused, tempDir } from "./fixture.ts";

describe("artifacts", () => {
  const bytes = Buffer.from([0, 255, 10]);

  it("are found by their hash, and stored once", async () => {
    const dir = join(tempDir(), "artifacts");
    const artifacts = openArtifacts(dir);
    const ref = await artifacts.put("diff", bytes);
    expect(ref).toMatchObject({
      kind: "diff",
      sizeBytes: 3,
      sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
    expect(await artifacts.get(ref.sha256)).toEqual(bytes);
    const path = join(dir, ref.sha256.slice(0, 2), ref.sha256.slice(2));
    const { mtimeMs, mode } = statSync(path);
    expect(mode & 0o777).toBe(0o600);
    await Promise.all([artifacts.put("report", bytes), artifacts.put("report", bytes)]);
    expect(statSync(path).mtimeMs).toBe(mtimeMs);
    expect((await artifacts.put("report", "é")).sizeBytes).toBe(2);
    expect(readdirSync(join(dir, ref.sha256.slice(0, 2)))).toEqual([ref.sha256.slice(2)]);
  });

  it("that are missing or altered are refused, and put right by storing them again", async () => {
    const dir = tempDir();
    const artifacts = openArtifacts(dir);
    const { sha256 } = await artifacts.put("diff", bytes);
    const path = join(dir, sha256.slice(0, 2), sha256.slice(2));
    writeFileSync(path, "altered");
    await refused("ARTIFACT_MISSING", () => artifacts.get(sha256));
    await artifacts.put("diff", bytes);
    expect(await artifacts.get(sha256)).toEqual(bytes);
    rmSync(path);
    for (const each of [sha256, "0".repeat(64), "../../etc/passwd", ""])
      await refused("ARTIFACT_MISSING", () => artifacts.get(each));
  });
});
