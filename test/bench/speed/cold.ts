import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { connectBus, createClient, credentialPath } from "@questbus/bus";
import { cli } from "../process.ts";
import type { Area } from "../promise.ts";
import { median } from "./round.ts";

type Start = { upMs: number; claimedMs: number };

/** `questbus up`, until a claim of ours was answered with work. */
async function coldStart(dir: string): Promise<Start> {
  const sinceMs = performance.now();
  const stack = spawn(process.execPath, [cli, "up", "--state", dir, "--json"], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  const exited = once(stack, "exit");
  try {
    const [line] = (await once(createInterface({ input: stack.stdout }), "line")) as [string];
    const upMs = performance.now() - sinceMs;
    const { url } = JSON.parse(line) as { url: string };
    const connections = await Promise.all(
      (["operator", "qa"] as const).map((role) =>
        connectBus({ url, credential: credentialPath(dir, role, role) }),
      ),
    );
    const [asking, working] = connections.map((each) => createClient(each));
    await asking?.request("ask", { role: "qa", phases: ["test"], text: "bench", data: {}, waitMs: 0 });
    await working?.request("claim", { waitMs: 0, asks: 1 });
    const claimedMs = performance.now() - sinceMs;
    await Promise.all(connections.map((each) => each.close()));
    return { upMs, claimedMs };
  } finally {
    stack.kill("SIGTERM");
    await exited;
  }
}

/** The first start makes credentials, database and compiled code; it is not counted. */
export const proveCold: Area = async function* ({ full, note }) {
  const dir = mkdtempSync(join(process.env.BENCH_DATA ?? tmpdir(), "questbus-cold-"));
  try {
    await coldStart(dir);
    const starts: Start[] = [];
    for (let round = 0; round < (full ? 15 : 5); round += 1) {
      const start = await coldStart(dir);
      note(`  up after ${start.upMs.toFixed(0)} ms, a claim answered after ${start.claimedMs.toFixed(0)} ms`);
      starts.push(start);
    }
    const found = median(starts.map(({ claimedMs }) => claimedMs));
    yield {
      id: "speed.cold",
      what: "questbus up to the first claim answered, warm",
      goal: "≤ 1,000 ms",
      value: `${found.toFixed(0)} ms; up is said after ${median(starts.map(({ upMs }) => upMs)).toFixed(0)} ms`,
      ok: found <= 1_000,
    };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
};
