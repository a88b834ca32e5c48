import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { systemTime, type Time } from "@questbus/bus";
import { commandData, QuestbusError, type Report, type Task } from "@questbus/protocol";
import { openProcessGroups } from "@questbus/workbench";
import { describe, expect, it } from "vitest";
import type { Outcome } from "../src/behaviour.ts";
import { runSession } from "../src/session.ts";
import { bus, grantOf, live, outcome, refusal, sessionWith, stateDir } from "./rig.ts";

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
    expect(line.of("hello")).toEqual([{ incarnation: "one", pid: process.pid, sandbox: "none" }]);
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
    const { promise: paused, resolve: pausing } = Promise.withResolvers<number>();
    const time: Time = {
      ...systemTime,
      after: (ms) => {
        pausing(ms);
        return () => {};
      },
    };
    const life = live(line, async () => outcome, "one", time);
    expect(await paused).toBe(1_000);
    expect(line.of("claim")).toHaveLength(1);
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

  it("one for which a queue had no room is sent again, as the same command", async () => {
    const ids: unknown[] = [];
    const line = bus([grantOf()], {
      report: (_, times) => {
        if (times === 1) throw refusal("OVERLOADED");
        return {};
      },
    });
    const { request } = line.client;
    line.client.request = (verb, data, options) => {
      if (verb === "report") ids.push(options?.id);
      return request(verb, data, options);
    };
    await live(line, async () => outcome);
    expect(line.reports()).toHaveLength(2);
    expect(line.reports()[1]).toEqual(line.reports()[0]);
    expect(ids).toEqual([expect.any(String), ids[0]]);
  });

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
