import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { commandData } from "@questbus/protocol";
import { describe, expect, it } from "vitest";
import { runSession } from "../src/session.ts";
import { openSpool } from "../src/spool.ts";
import { bus, grantOf, outcome, refusal, sessionWith, stateDir } from "./rig.ts";

const work = async () => outcome;
const behaviour = { test: work, fix: work, validate: work };

/** A life of an agent that spools; what it sent, with the ids of its reports. */
async function live(line: ReturnType<typeof bus>, part: object = {}) {
  const ids: unknown[] = [];
  const { request } = line.client;
  line.client.request = (verb, data, options) => {
    if (verb === "report") ids.push(options?.id);
    return request(verb, data, options);
  };
  const spool = openSpool(join(stateDir, "spool"));
  await runSession({ ...sessionWith(line.client, line.stop.signal, behaviour), spool, ...part }, "one");
  return { ids, verbs: line.sent.map(({ verb }) => verb).filter((verb) => verb !== "renew") };
}
const spooled = (): string[] => readdirSync(join(stateDir, "spool"));

describe("a report that is not answered", () => {
  it("stands on the disk, and the next process sends it again, as the same command, before its hello", async () => {
    const dead = bus([grantOf()], {
      report: () => {
        dead.stop.abort();
        throw refusal("BUS_UNAVAILABLE");
      },
    });
    const first = await live(dead);
    expect(spooled()).toEqual([`${first.ids[0]}.json`]);
    const next = await live(bus([]));
    expect(next.ids).toEqual(first.ids);
    expect(next.verbs).toEqual(["report", "hello", "claim"]);
    expect(spooled()).toEqual([]);
  });

  it("is forgotten when it is refused: somebody else has the work", async () => {
    const line = bus([grantOf()], {
      report: () => {
        throw refusal("LEASE_STALE");
      },
    });
    await live(line);
    expect(spooled()).toEqual([]);
  });

  it("of which half was written, or that another release wrote, is left out", () => {
    const spool = openSpool(join(stateDir, "spool"));
    expect(spool.list()).toEqual([]);
    writeFileSync(join(stateDir, "spool", "a.json"), '{"assign');
    writeFileSync(join(stateDir, "spool", "b.json"), "{}");
    expect(spool.list()).toEqual([]);
    const report = commandData.report.parse({
      task: "ask",
      asks: [{ assignment: "a-000000000000000000000000", epoch: 1, phase: "test", result: 1 }],
    });
    spool.put("c", report);
    expect(openSpool(join(stateDir, "spool")).list()).toEqual([{ id: "c", report }]);
  });
});

describe("an agent that is told to stop", () => {
  it("finishes what it holds, and reports it", async () => {
    const line = bus([grantOf()]);
    const slow = async () => {
      line.stop.abort();
      return outcome;
    };
    const { verbs } = await live(line, {
      drainMs: 5_000,
      behaviour: { test: slow, fix: slow, validate: slow },
    });
    expect(verbs).toEqual(["hello", "claim", "report", "leave"]);
  });

  it("gives back what it cannot finish in time", async () => {
    const line = bus([grantOf({}, 7)]);
    const endless = ({ signal }: { signal: AbortSignal }) => {
      line.stop.abort();
      return new Promise<never>((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    };
    const { verbs } = await live(line, {
      drainMs: 20,
      behaviour: { test: endless, fix: endless, validate: endless },
    });
    expect(verbs).toEqual(["hello", "claim", "release", "leave"]);
    expect(line.of("release")).toEqual([
      { assignment: "q-00000000.performance", epoch: 7, reason: "the agent stops" },
    ]);
  });
});

it("what a process that died left half written is removed, and is no report", () => {
  const dir = join(stateDir, "spool");
  const spool = openSpool(dir);
  spool.list();
  writeFileSync(join(dir, "half.json.new"), '{"task":');
  expect(spool.list()).toEqual([]);
  expect(existsSync(join(dir, "half.json.new"))).toBe(false);
});

it("an agent that may finish what it holds says at its end that it waits for nothing any more", async () => {
  expect((await live(bus([]), { drainMs: 1 })).verbs).toEqual(["hello", "claim", "leave"]);
  expect((await live(bus([]))).verbs).toEqual(["hello", "claim"]);
});
