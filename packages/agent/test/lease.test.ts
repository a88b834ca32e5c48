import { existsSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { systemTime } from "@questbus/bus";
import { type CommandData, limit } from "@questbus/protocol";
import { runCommand } from "@questbus/workbench";
import { describe, expect, it, vi } from "vitest";
import type { Behaviour, Outcome, TaskContext } from "../src/behaviour.ts";
import { runSession } from "../src/session.ts";
import { bus, grantOf, live, outcome, refusal, sessionWith, stateDir } from "./rig.ts";

describe("I1: a lost lease aborts the work under it", () => {
  const renewing = (): void => void vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
  /** Works until its signal aborts; `begun` resolves when it works. */
  function endless() {
    const begun = Promise.withResolvers<TaskContext>();
    const work = (context: TaskContext): Promise<Outcome> => {
      begun.resolve(context);
      return new Promise((_, reject) => {
        context.signal.addEventListener("abort", () => reject(context.signal.reason), { once: true });
      });
    };
    return { begun: begun.promise, work };
  }

  it.each(["LEASE_STALE", "QUEST_NOT_FOUND"] as const)(
    "refused with %s: nothing is reported, and it claims again",
    async (code) => {
      renewing();
      const line = bus([grantOf({}, 7)], {
        renew: (_, times) => {
          if (times > 1) throw refusal(code);
          return {};
        },
      });
      const { begun, work } = endless();
      const life = live(line, work);
      const { signal } = await begun;
      await vi.advanceTimersByTimeAsync(limit.renewEveryMs);
      await life;
      expect(signal.aborted).toBe(true);
      const renewal = {
        assignment: "q-00000000.performance",
        epoch: 7,
        progress: { step: "produce", count: 0 },
      };
      expect(line.of("renew")).toEqual([renewal, renewal]);
      expect(line.reports()).toEqual([]);
      expect(line.of("claim")).toHaveLength(2);
    },
  );

  it.each(["quest.ended", "pass.judged", "lease.expired"] as const)(
    "%s makes it ask at once: it does not wait for the next renewal",
    async (type) => {
      renewing();
      let over = false;
      const line = bus([grantOf()], {
        renew: () => {
          if (over) throw refusal("LEASE_STALE");
          return {};
        },
      });
      const { begun, work } = endless();
      const life = live(line, work);
      const { signal } = await begun;
      await vi.waitFor(() => expect(line.of("renew")).toHaveLength(1));
      line.tell("assignment.noted");
      line.tell(type);
      expect(line.of("renew")).toHaveLength(2);
      expect(signal.aborted, "an event that comes late, or twice, ends nothing").toBe(false);
      over = true;
      line.tell(type);
      await life;
      expect(signal.aborted).toBe(true);
      expect(line.reports()).toEqual([]);
    },
  );

  it("removes the trees of a quest that ended once its own work is over: who cancelled did so too early", async () => {
    const line = bus([grantOf()], {
      renew: (_, times) => {
        if (times > 1) throw refusal("LEASE_STALE");
        return {};
      },
    });
    const tree = join(stateDir, "quests", "q-00000000", "trees", "work");
    const { begun, work } = endless();
    const life = live(line, async (context) => {
      try {
        return await work(context);
      } finally {
        mkdirSync(tree, { recursive: true });
      }
    });
    await begun;
    await vi.waitFor(() => expect(line.of("renew")).toHaveLength(1));
    line.tell("quest.ended");
    await life;
    expect(existsSync(tree)).toBe(false);
  });

  it("a renewal carries evidence that the work goes on: what is done, and how much was", async () => {
    renewing();
    const line = bus([grantOf()]);
    const said = (): unknown => (line.of("renew").at(-1) as CommandData["renew"]).progress;
    await live(line, async ({ step }) => {
      await vi.waitFor(() => expect(said()).toEqual({ step: "produce", count: 0 }));
      await vi.advanceTimersByTimeAsync(limit.renewEveryMs);
      expect(said(), "an agent that only lives has done nothing").toEqual({ step: "produce", count: 0 });
      step("pair 14 of 90");
      await runCommand({ command: "echo", cwd: stateDir, timeoutMs: 10_000 });
      await vi.advanceTimersByTimeAsync(limit.renewEveryMs);
      expect(said()).toEqual({ step: "pair 14 of 90", count: 3 });
      return outcome;
    });
    expect(line.reports()).toHaveLength(1);
    expect(line.reports()[0]?.fault).toBeNull();
  });

  it("work that ends after its lease was lost is not reported either", async () => {
    renewing();
    const line = bus([grantOf()], {
      renew: () => {
        throw refusal("LEASE_STALE");
      },
    });
    const release = Promise.withResolvers<Outcome>();
    const begun = Promise.withResolvers<void>();
    const life = live(line, () => {
      begun.resolve();
      return release.promise;
    });
    await begun.promise;
    await vi.advanceTimersByTimeAsync(limit.renewEveryMs);
    release.resolve(outcome);
    await life;
    expect(line.reports()).toEqual([]);
  });

  it.each(["BUS_UNAVAILABLE", "DISK_FULL"] as const)(
    "a renewal that %s kept from its answer is no loss: the work goes on, and is renewed again",
    async (code) => {
      renewing();
      const line = bus([grantOf()], {
        renew: (_, times) => {
          if (times === 1) throw refusal(code);
          return { leaseMs: limit.leaseMs };
        },
      });
      const release = Promise.withResolvers<Outcome>();
      const begun = Promise.withResolvers<void>();
      const life = live(line, () => {
        begun.resolve();
        return release.promise;
      });
      await begun.promise;
      await vi.advanceTimersByTimeAsync(limit.renewEveryMs * 3);
      release.resolve(outcome);
      await life;
      expect(line.of("renew")).toHaveLength(4);
      expect(line.reports()).toHaveLength(1);
    },
  );

  it("renewing ends with the task", async () => {
    renewing();
    const line = bus([grantOf()]);
    await live(line, async () => outcome);
    const before = line.of("renew").length;
    await vi.advanceTimersByTimeAsync(limit.renewEveryMs * 5);
    expect(line.of("renew")).toHaveLength(before);
    expect(vi.getTimerCount()).toBe(0);
    expect(line.hearing.size).toBe(0);
  });

  it("an agent that is told to stop aborts its work and reports nothing", async () => {
    const line = bus([grantOf()]);
    const { begun, work } = endless();
    const life = live(line, work);
    await begun;
    line.stop.abort();
    await life;
    expect(line.reports()).toEqual([]);
    expect(line.of("claim")).toHaveLength(1);
  });
});

describe("I4: nothing is started while it is not sure that the lease is held", () => {
  /** Runs a command, is paused for a lease, and wants to run another. */
  async function paused(renewed: (isPaused: boolean) => unknown) {
    let nowMs = 0;
    const line = bus([grantOf()], { renew: () => renewed(nowMs > 0) });
    const run = (name: string): Promise<unknown> =>
      runCommand({ command: `touch ${name}`, cwd: stateDir, timeoutMs: 10_000 });
    const work = async (): Promise<Outcome> => {
      await run("before");
      nowMs += limit.leaseMs;
      await run("after");
      return outcome;
    };
    const behaviour: Behaviour = { test: work, fix: work, validate: work };
    const time = { ...systemTime, steadyMs: () => nowMs };
    await runSession({ ...sessionWith(line.client, line.stop.signal, behaviour), time }, "one");
    return { did: ["before", "after"].filter((name) => existsSync(join(stateDir, name))), ...line };
  }

  it("by an agent that wakes when its work has long been given to another", async () => {
    const { did, reports } = await paused((isPaused) => {
      if (isPaused) throw refusal("LEASE_STALE");
      return {};
    });
    expect([did, reports()]).toEqual([["before"], []]);
  });

  it("and one that nobody can tell gives the task up", async () => {
    const { did, reports } = await paused((isPaused) => {
      if (isPaused) throw refusal("BUS_UNAVAILABLE");
      return {};
    });
    expect([did, reports()]).toEqual([["before"], []]);
  });

  it("one that still holds its lease goes on, and so does one whose orchestrator can store nothing", async () => {
    const held = await paused(() => ({}));
    expect([held.did.length, held.reports().length]).toEqual([2, 1]);
    rmSync(join(stateDir, "after"));
    const full = await paused((isPaused) => {
      if (isPaused) throw refusal("DISK_FULL");
      return {};
    });
    expect(full.did.length).toBe(2);
  });
});
