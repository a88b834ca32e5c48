import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type BusClient, systemTime } from "@questbus/bus";
import {
  type CommandData,
  commandData,
  type ErrorCode,
  type Grant,
  type JournalRow,
  limit,
  QuestbusError,
  type Report,
  type Task,
  type Verb,
} from "@questbus/protocol";
import { openProcessGroups, runCommand } from "@questbus/workbench";
import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Behaviour, Outcome, TaskContext } from "../src/behaviour.ts";
import { runSession, type Session } from "../src/session.ts";

/** One agent's life over a fake bus: its grants are handed out in order, and what it sends is kept. */

const grantOf = (part: Partial<Grant["brief"]> = {}, epoch = 1): Grant =>
  ({
    assignment: "q-00000000.performance",
    role: "performance",
    epoch,
    leaseMs: limit.leaseMs,
    brief: {
      quest: "q-00000000",
      pass: 1,
      phase: "fix",
      task: "produce",
      base: {},
      spec: { target: {} },
      ...part,
    },
  }) as unknown as Grant;

const outcome: Outcome = {
  result: { candidate: null, forbiddenPaths: [], setAside: [], original: null },
  summary: "changed nothing",
};
const refusal = (code: ErrorCode): QuestbusError => new QuestbusError({ code, message: `refused: ${code}` });

type Sent = { verb: Verb; data: CommandData[Verb] };
type Handler = (data: never, times: number) => unknown;

/** A bus that answers each verb by its handler; a claim beyond the last grant waits until the agent is stopped. */
function bus(grants: readonly Grant[], handlers: Partial<Record<Verb, Handler>> = {}) {
  const stop = new AbortController();
  const sent: Sent[] = [];
  const waiting = [...grants];
  const ended = (signal: AbortSignal | undefined): Promise<never> =>
    new Promise((_, reject) => {
      signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
      if (signal?.aborted) reject(signal.reason);
    });
  const client: BusClient = {
    async request(verb, data, options) {
      const times = sent.push({ verb, data }) && of(verb).length;
      const handler = handlers[verb];
      if (handler) return handler(data as never, times);
      if (verb !== "claim") return {};
      const grant = waiting.shift();
      if (grant) return { status: "granted", grant };
      stop.abort();
      return ended(options?.signal);
    },
    async watchEvents({ quest }, handler) {
      hearing.set(quest, handler);
      return () => hearing.delete(quest);
    },
  };
  const hearing = new Map<string | undefined, (row: JournalRow) => void>();
  const tell = (type: JournalRow["type"]): void => {
    for (const hear of hearing.values()) hear({ type } as JournalRow);
  };
  const of = (verb: Verb): CommandData[Verb][] =>
    sent.filter((each) => each.verb === verb).map((each) => each.data);
  return { client, sent, stop, of, tell, hearing, reports: () => of("report") as Report[] };
}

let stateDir = "";
beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), "questbus-agent-"));
});
afterEach(() => {
  vi.useRealTimers();
  rmSync(stateDir, { recursive: true, force: true });
});

type Bus = ReturnType<typeof bus>;

function live(
  { client, stop }: Bus,
  work: (context: TaskContext) => Promise<Outcome>,
  incarnation = "one",
): Promise<void> {
  const behaviour: Behaviour = { test: work, fix: work, validate: work };
  return runSession(sessionWith(client, stop.signal, behaviour), incarnation);
}

const sessionWith = (client: BusClient, signal: AbortSignal, behaviour: Behaviour): Session => ({
  client,
  definition: {
    name: "performance",
    description: "",
    role: "performance",
    phases: { test: "", fix: "", validate: "" },
    never: [],
    body: "",
  },
  behaviour,
  name: "performance",
  stateDir,
  log: pino({ level: "silent" }),
  signal,
});

describe("the life of an agent", () => {
  it("says hello once, then claims, works and reports, and claims again until it is stopped", async () => {
    const line = bus([grantOf({}, 3), grantOf({ task: "base-measure", phase: "test", pass: 2 }, 4)]);
    await live(line, async () => outcome);
    const verbs = line.sent.map((each) => each.verb);
    expect(verbs.filter((verb) => verb !== "renew")).toEqual([
      "hello",
      "claim",
      "report",
      "claim",
      "report",
      "claim",
    ]);
    expect(line.of("hello")).toEqual([{ incarnation: "one", pid: process.pid }]);
    expect(line.reports()[0]).toEqual({
      assignment: "q-00000000.performance",
      epoch: 3,
      pass: 1,
      phase: "fix",
      task: "produce",
      summary: "changed nothing",
      fault: null,
      result: outcome.result,
      signOff: null,
      suspicions: [],
      artifacts: [],
    });
    expect(line.reports()[1]).toMatchObject({ epoch: 4, pass: 2, phase: "test", task: "base-measure" });
  });

  it.each([
    ["test", "base-measure"],
    ["fix", "produce"],
    ["validate", "gate"],
  ] as const)("in phase %s does the behaviour of that phase", async (phase, task) => {
    const asked: string[] = [];
    const of = (name: string) => async (): Promise<Outcome> => {
      asked.push(name);
      return outcome;
    };
    const line = bus([grantOf({ phase, task: task as Task, pass: 3 })]);
    await runSession(
      sessionWith(line.client, line.stop.signal, {
        test: of("test"),
        fix: of("fix"),
        validate: of("validate"),
      }),
      "x",
    );
    expect(asked).toEqual([phase]);
  });

  it("ends when nobody answers its hello", async () => {
    const line = bus([], {
      hello: () => {
        throw refusal("BUS_UNAVAILABLE");
      },
    });
    await expect(live(line, async () => outcome)).rejects.toMatchObject({ code: "BUS_UNAVAILABLE" });
    expect(line.of("claim")).toEqual([]);
  });

  it("I3: ends what an earlier process of its name left running, before it says hello", async () => {
    const dir = join(stateDir, "run", "groups", "performance");
    const [program, ...rest] = openProcessGroups(dir).wrap(["sh", "-c", "echo up; exec sleep 60"]);
    const orphan = spawn(program, rest, { detached: true, stdio: ["ignore", "pipe", "ignore"] });
    const gone = once(orphan, "exit");
    await once(orphan.stdout, "data");
    let alive = true;
    void gone.then(() => {
      alive = false;
    });
    const line = bus([], {
      hello: async () => {
        await gone;
        return {};
      },
    });
    await live(line, async () => outcome);
    expect(alive).toBe(false);
  });

  it("goes on after a claim that failed, with a pause: it does not storm a stack that refuses it", async () => {
    const line = bus([], {
      claim: () => {
        throw refusal("OVERLOADED");
      },
    });
    const life = live(line, async () => outcome);
    await delay(150);
    expect(line.of("claim").length).toBeLessThanOrEqual(2);
    line.stop.abort();
    await life;
  });

  it("claims again at once when there was no work", async () => {
    const line = bus([]);
    const answers = [{ status: "none" }, { status: "none" }];
    const { client } = line;
    const life = live(
      {
        ...line,
        client: {
          ...client,
          request: async (verb, data, options) =>
            verb === "claim"
              ? (answers.shift() ?? client.request(verb, data, options))
              : client.request(verb, data, options),
        },
      },
      async () => outcome,
    );
    await life;
    expect(answers).toEqual([]);
  });
});

describe("a task that cannot be done", () => {
  const reported = async (error: unknown): Promise<Report> => {
    const line = bus([grantOf()]);
    await live(line, async () => {
      throw error;
    });
    const [report] = line.reports();
    expect(commandData.report.safeParse(report).error).toBeUndefined();
    return report as Report;
  };

  it("is reported as its fault", async () => {
    const fault = {
      code: "FIXER_FAILED",
      message: "exit code 3",
      where: "./improve.sh",
      next: "run it by hand",
    } as const;
    expect(await reported(new QuestbusError(fault))).toMatchObject({
      fault,
      result: null,
      signOff: null,
      summary: "FIXER_FAILED: exit code 3",
    });
  });

  it("for a reason that nobody foresaw is INTERNAL", async () => {
    expect((await reported(new TypeError("x is undefined"))).fault).toMatchObject({
      code: "INTERNAL",
      message: "x is undefined",
    });
  });

  it("is reported however long its words are", async () => {
    const long = "long ".repeat(2_000);
    const report = await reported(
      new QuestbusError({ code: "FIXER_FAILED", message: long, where: long, next: long }),
    );
    expect(report.fault?.code).toBe("FIXER_FAILED");
    expect(report.summary).toHaveLength(400);
  });

  it("leaves its evidence in the report, as one that succeeds does", async () => {
    const line = bus([grantOf(), grantOf()]);
    let tries = 0;
    await live(line, async ({ artifacts }) => {
      await artifacts.put("fixer-output", `try ${++tries}`);
      if (tries === 1) throw refusal("FIXER_FAILED");
      return outcome;
    });
    const sizes = line.reports().map((report) => report.artifacts.map((each) => [each.kind, each.sizeBytes]));
    expect(sizes).toEqual([[["fixer-output", 5]], [["fixer-output", 5]]]);
    expect(line.reports()[0]?.fault?.code).toBe("FIXER_FAILED");
  });
});

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
      const renewal = { assignment: "q-00000000.performance", epoch: 7 };
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

describe("I2: a report that was answered is never sent again", () => {
  it.each(["LEASE_STALE", "REPORT_OUT_OF_TURN", "PASS_LIMIT"] as const)(
    "refused with %s it is dropped",
    async (code) => {
      const line = bus([grantOf()], {
        report: () => {
          throw refusal(code);
        },
      });
      await live(line, async () => outcome);
      expect(line.reports()).toHaveLength(1);
      expect(line.of("claim")).toHaveLength(2);
    },
  );

  it.each(["MESSAGE_TOO_LARGE", "MESSAGE_INVALID", "DISK_FULL"] as const)(
    "one that cannot be taken (%s) becomes the report of that fault",
    async (code) => {
      const line = bus([grantOf()], {
        report: (_, times) => {
          if (times === 1) throw refusal(code);
          return {};
        },
      });
      await live(line, async () => outcome);
      expect(line.reports()).toHaveLength(2);
      expect(line.reports()[1]).toMatchObject({ fault: { code }, result: null });
    },
  );
});
