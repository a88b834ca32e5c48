import { spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { SandboxLevel } from "@questbus/protocol";
import { afterAll, describe, expect, it, onTestFinished } from "vitest";
import { type CommandOptions, type CommandRun, runCommand } from "../src/command.ts";
import { startTimeOf } from "../src/process-group.ts";
import { planMounts } from "../src/sandbox/mount.ts";
import { openSandbox, underSandbox } from "../src/sandbox/sandbox.ts";
import { refused, tempDir, until, write } from "./fixture.ts";

/** How commands run inside; that nobody gets out is tried in test/doors. */

const levels = (["bubblewrap", "namespaces"] as const).map((from) => ({
  level: from,
  sandbox: openSandbox({ policy: "preferred", hidden: [], from, owner: `run-${from}-${process.pid}` }),
}));
afterAll(() => {
  for (const { sandbox } of levels) sandbox.close();
});
const here = levels.filter(({ level, sandbox }) => sandbox.level === level);
if (here.length === 0) process.stderr.write("\nSKIPPED: nothing can be shut in on this machine\n\n");

describe.each(here)("a command in $level", ({ level, sandbox }) => {
  const sh = (command: string, more: Partial<CommandOptions> = {}): Promise<CommandRun> =>
    underSandbox({ sandbox, network: ["prepare"] }, () =>
      runCommand({ command, cwd: tempDir(), timeoutMs: 20_000, ...more }),
    );

  it("ends, prints and is measured as it is outside", async () => {
    const measured = { measureCpu: true, measureRss: true } as const;
    const run = await sh("echo out; echo err >&2; echo kept >file; exit 3", measured);
    expect(run).toMatchObject({ exit: 3, stdout: "out\n", stderr: "err\n", timedOut: false, left: [] });
    expect(run.maxRssBytes).toBeLessThan(20_000_000);
    expect(run.cpuMs).toBeLessThan(1_000);
    const spin = "const end = process.cpuUsage().user + 150000; while (process.cpuUsage().user < end);";
    expect((await sh(`node -e "${spin}"`, measured)).cpuMs).toBeGreaterThan(150);
    expect((await sh("kill -9 $$", measured)).exit).toBe(137);
    expect((await sh("no-such-program")).exit).toBe(127);
  });

  it("has HOME and TMPDIR of its own, which are gone afterwards", async () => {
    const run = await sh('echo x >"$HOME/a" && echo y >"$TMPDIR/b" && echo "$HOME"; ls -A "$HOME"');
    const [home = "", ...files] = run.stdout.trim().split("\n");
    expect(files).toEqual(["a"]);
    expect(existsSync(home)).toBe(false);
  });

  it("is ended with all that it started, and what heeds SIGTERM may finish", async () => {
    const heeding = await sh("trap 'echo bye; exit 0' TERM; sleep 600 & wait", { timeoutMs: 1_000 });
    expect(heeding).toMatchObject({ timedOut: true, stdout: "bye\n" });
    const deaf = await sh(
      "trap '' TERM; setsid sh -c 'trap \"\" TERM; sleep 600' & while :; do sleep 0.05; done",
      {
        timeoutMs: 1_000,
      },
    );
    expect(deaf.timedOut).toBe(true);
    expect(deaf.wallMs).toBeLessThan(10_000);
  });

  it.skipIf(level === "namespaces")(
    "names what it leaves running, and waits for what ends in time",
    async () => {
      const left = await sh("setsid sleep 600 & echo x", { lingerMs: 100 });
      expect(left).toMatchObject({ exit: 0, left: [expect.stringMatching(/sleep|setsid|sh\b/)] });
      const late = await sh("(sleep 0.3; echo late) & echo early", { lingerMs: 10_000 });
      expect(late).toMatchObject({ stdout: "early\nlate\n", left: [] });
    },
  );

  it("has the network when it is one that the operator gave it", async () => {
    const devices = "tail -n +3 /proc/net/dev | wc -l";
    const outside = readFileSync("/proc/net/dev", "utf8").trim().split("\n").length - 2;
    expect(Number((await sh(devices)).stdout)).toBeLessThanOrEqual(outside);
    expect(Number((await sh(devices, { user: "prepare" })).stdout)).toBe(outside);
  });

  it("is gone with its owner, killed by its guard", async () => {
    const dir = tempDir();
    const source = (name: string): string => JSON.stringify(join(import.meta.dirname, "../src", name));
    write(dir, {
      "owner.ts": `
      import { runCommand } from ${source("command.ts")};
      import { openProcessGroups } from ${source("process-group.ts")};
      import { openSandbox, underSandbox } from ${source("sandbox/sandbox.ts")};
      const groups = openProcessGroups(${JSON.stringify(join(dir, "groups"))});
      groups.guard();
      const sandbox = openSandbox({ policy: "required", hidden: [], from: "${level}" });
      const command = "setsid env -i sleep 604.5 & touch begun; sleep 604.5";
      await underSandbox({ sandbox, network: [] }, () => runCommand({ command, cwd: ${JSON.stringify(dir)}, timeoutMs: 600000, groups }));`,
    });
    const owner = spawn(process.execPath, [join(dir, "owner.ts")], { stdio: "inherit" });
    onTestFinished(() => void owner.kill("SIGKILL"));
    await until(() => existsSync(join(dir, "begun")) && sleepers().length === 2);
    owner.kill("SIGKILL");
    await until(() => sleepers().length === 0);
    expect(startTimeOf(owner.pid as number)).toBe(null);
  });
});

const sleepers = (): string[] =>
  readdirSync("/proc").filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, "utf8") === ["sleep", "604.5", ""].join("\0");
    } catch {
      return false;
    }
  });

describe("the level", () => {
  const without = <T>(work: () => T): T => {
    const { PATH } = process.env;
    process.env.PATH = tempDir();
    try {
      return work();
    } finally {
      process.env.PATH = PATH;
    }
  };
  const levelOf = (policy: "preferred" | "off"): SandboxLevel => openSandbox({ policy, hidden: [] }).level;

  it("that is required and not there is refused", async () => {
    const open = async (): Promise<unknown> => openSandbox({ policy: "required", hidden: [] });
    await refused("SANDBOX_MISSING", () => without(open));
  });
  it("is none where there is none and it is preferred, and where it is off", () => {
    expect(without(() => levelOf("preferred"))).toBe("none");
    expect(levelOf("off")).toBe("none");
  });
});

describe("mounts", () => {
  it("come after those that they are below, and one path has the one that counts", () => {
    const plan = planMounts([
      { path: "/home/u/app/tree", as: "write" },
      { path: "/home/u/bin", as: "read" },
      { path: "/home/u/app", as: "empty" },
      { path: "/home", as: "empty" },
      { path: "/home/u/app", as: "read" },
      { path: "/", as: "read" },
      { path: "/home/u/app/tree", as: "empty" },
    ]);
    expect(plan.map(({ path, as }) => `${as} ${path}`)).toEqual([
      "empty /home",
      "empty /home/u/app",
      "read /home/u/bin",
      "write /home/u/app/tree",
    ]);
  });
});
