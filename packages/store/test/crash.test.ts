import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { QuestbusError } from "@questbus/protocol";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openStore, type Store, verifyJournal } from "../src/index.ts";
import { fill, newDir, refused } from "./rig.ts";

/** Tests with other processes, killed ones among them, and with a full disk. */

const here = fileURLToPath(new URL("./rig.ts", import.meta.url));
let dir: string;
let remove: () => void;
const children: ChildProcess[] = [];
beforeEach(() => {
  ({ dir, remove } = newDir());
});
afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill("SIGKILL");
    await once(child, "exit");
  }
  remove();
});

/** Another process that opens the store, appends for as long as it lives, and says each row that it committed. */
function writer(): { child: ChildProcess; nextLine(): Promise<string> } {
  const script = `
    import { fill } from ${JSON.stringify(here)};
    import { openStore } from ${JSON.stringify(fileURLToPath(new URL("../src/index.ts", import.meta.url)))};
    import { writeSync } from "node:fs";
    const store = openStore({ dir: process.argv[1], mode: "write" });
    for (;;) { fill(store, 1); writeSync(1, store.head().seq + "\\n"); }`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script, dir], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  children.push(child);
  const lines = createInterface({ input: child.stdout as NonNullable<typeof child.stdout> })[
    Symbol.asyncIterator
  ]();
  return { child, nextLine: async () => String((await lines.next()).value) };
}

describe("another process", () => {
  test("S1: while it writes, no second writer; a reader sees a journal in order", async () => {
    const { nextLine } = writer();
    await nextLine();
    expect(() => openStore({ dir, mode: "write" })).toThrow(
      expect.objectContaining({ code: "STATE_LOCKED", exit: 5 }),
    );
    const reader = openStore({ dir, mode: "read" });
    let last = 0;
    for (let look = 0; look < 20; look += 1) {
      const result = verifyJournal(reader);
      expect(result).toMatchObject({ ok: true });
      const length = result.ok ? result.length : 0;
      expect(length).toBeGreaterThanOrEqual(last);
      last = length;
      await nextLine();
    }
    reader.close();
  });

  test("S2: killed with SIGKILL, it leaves a journal in order with every row that it said; the lock is free", async () => {
    for (let round = 0; round < 3; round += 1) {
      const { child, nextLine } = writer();
      let said = 0;
      for (let at = 0; at < 20 + 7 * round; at += 1) said = Number(await nextLine());
      child.kill("SIGKILL");
      await once(child, "exit");
      const reader = openStore({ dir, mode: "read" });
      expect(reader.head().seq).toBeGreaterThanOrEqual(said);
      reader.close();
      const store = openStore({ dir, mode: "write" });
      fill(store, 1);
      expect(verifyJournal(store)).toMatchObject({ ok: true, length: store.head().seq });
      store.close();
    }
  });
});

/** A file system of its own; false where that is not allowed. */
function mountSmall(at: string): boolean {
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=1m", "questbus-test", at], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

test("S3: on a full disk a transaction fails as a whole with DISK_FULL, and works again once there is space", (context) => {
  const at = join(dir, "small");
  mkdirSync(at);
  if (process.platform !== "linux" || !mountSmall(at))
    return context.skip("needs the right to mount a tmpfs");
  let store: Store | null = null;
  try {
    const ballast = join(at, "ballast");
    writeFileSync(ballast, Buffer.alloc(300_000));
    const opened = openStore({ dir: join(at, "state"), mode: "write" });
    store = opened;
    const append = () =>
      opened.transact((tx) => {
        tx.setCursor("copy", tx.head().seq + 1);
        return tx.append([refused("x".repeat(20_000))], { timeMs: 1, command: null });
      });
    let failure: unknown = null;
    for (let tries = 0; tries < 100 && failure === null; tries += 1) {
      try {
        append();
      } catch (error) {
        failure = error;
      }
    }
    expect(failure).toBeInstanceOf(QuestbusError);
    expect(failure).toMatchObject({ code: "DISK_FULL" });
    const { seq } = opened.head();
    expect(seq).toBeGreaterThan(0);
    expect(opened.getCursor("copy")).toBe(seq);
    expect(verifyJournal(opened)).toMatchObject({ ok: true, length: seq });
    rmSync(ballast);
    expect(append()[0]?.seq).toBe(seq + 1);
    expect(verifyJournal(opened)).toMatchObject({ ok: true, length: seq + 1 });
    opened.close();
    store = openStore({ dir: join(at, "state"), mode: "write" });
    expect(store.head().seq).toBe(seq + 1);
  } finally {
    store?.close();
    execFileSync("umount", [at]);
  }
});

test("on a full disk a state that cannot be made gives DISK_FULL", (context) => {
  const at = join(dir, "small");
  mkdirSync(at);
  if (process.platform !== "linux" || !mountSmall(at))
    return context.skip("needs the right to mount a tmpfs");
  try {
    writeFileSync(join(at, "ballast"), Buffer.alloc(1_048_576 - 4 * 4_096));
    expect(() => openStore({ dir: join(at, "state"), mode: "write" })).toThrow(
      expect.objectContaining({ code: "DISK_FULL" }),
    );
    rmSync(join(at, "ballast"));
    openStore({ dir: join(at, "state"), mode: "write" }).close();
  } finally {
    execFileSync("umount", [at]);
  }
});
