import { setTimeout as delay } from "node:timers/promises";
import {
  type Answer,
  envelope,
  eventSubject,
  type JournalEvent,
  type JournalRow,
  limit,
  wrap,
} from "@questbus/protocol";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  type BusClient,
  type BusConnection,
  type Command,
  connectBus,
  createClient,
  type DeadMessage,
  openJournalStream,
  serveCommands,
} from "../src/index.ts";
import { openRequests } from "../src/request.ts";
import { systemTime } from "../src/time.ts";
import { eventAt, eventually, openRig, type Rig } from "./rig.ts";

let rig: Rig;
let orchestrator: BusConnection;
let agent: BusConnection;
let qa: BusClient;
let onCommand: (command: Command) => void;
const dead: DeadMessage[] = [];
const hello = { incarnation: "one", pid: 1 };
const yes = (data: unknown): Answer => ({ ok: true, seq: 1, data });

beforeAll(async () => {
  rig = await openRig();
  orchestrator = await rig.connect("orchestrator");
  agent = await rig.connect("qa1");
  qa = createClient(agent);
  await serveCommands(orchestrator, {
    onCommand: (command) => onCommand(command),
    onDead: (each) => void dead.push(each),
  });
});
beforeEach(() => {
  onCommand = (command) => command.respond(yes(command.verb));
  dead.length = 0;
});
afterAll(() => rig.close());

const caught = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => null,
    (error: unknown) => error,
  );

describe("answers", () => {
  test("a request gets the data of its answer", async () => {
    expect(await qa.request("hello", hello)).toBe("hello");
  });

  test("the orchestrator sees id, actor, verb, data and trace", async () => {
    let seen: Command | null = null;
    onCommand = (command) => {
      seen = command;
      command.respond(yes(null));
    };
    const traceparent = `00-${"a".repeat(32)}-${"b".repeat(16)}-01`;
    await qa.request("hello", hello, { id: "mine", traceparent });
    expect(seen).toMatchObject({
      id: "mine",
      actor: { role: "qa", name: "qa1" },
      verb: "hello",
      data: hello,
      traceparent,
    });
  });

  test("a long poll is answered after 1.5 s", async () => {
    onCommand = (command) => void delay(1_500).then(() => command.respond(yes({ status: "none" })));
    expect(await qa.request("claim", { waitMs: 2_000 })).toEqual({ status: "none" });
  });

  test("a refusal is thrown with all its faults", async () => {
    const faults = [
      { code: "LEASE_STALE", message: "the lease is not yours", next: "claim again" },
      { code: "FROM_THE_FUTURE", message: "unheard of" },
    ];
    onCommand = (command) => command.respond({ ok: false, faults, retryable: false });
    const error = await caught(qa.request("hello", hello));
    expect(error).toMatchObject({
      code: "LEASE_STALE",
      exit: 5,
      faults: [faults[0], { code: "INTERNAL", message: "FROM_THE_FUTURE: unheard of" }],
    });
  });

  test("an answer that cannot be read is an error, not data", async () => {
    onCommand = (command) => command.respond({ ok: true } as unknown as Answer);
    await expect(qa.request("hello", hello)).rejects.toMatchObject({ code: "INTERNAL" });
  });

  test("C3: a handler that throws is answered as an error, and the next command is served", async () => {
    onCommand = () => {
      throw new Error("oops");
    };
    await expect(qa.request("hello", hello)).rejects.toMatchObject({ code: "INTERNAL", message: "oops" });
    onCommand = (command) => command.respond(yes("well"));
    expect(await qa.request("hello", hello)).toBe("well");
  });

  test("an answer too large for the bus says so", async () => {
    onCommand = (command) => command.respond(yes("x".repeat(3 * limit.messageBytesMax)));
    await expect(qa.request("hello", hello)).rejects.toMatchObject({ code: "MESSAGE_TOO_LARGE" });
  });
});

describe("invalid messages", () => {
  const raw = async (text: string | Uint8Array, verb = "claim"): Promise<Answer> =>
    (await agent.nats.request(`local.qa.qa1.${verb}`, text, { timeout: 2_000 })).json();

  test("the client refuses its own with every path, and sends nothing", async () => {
    const arrived: Command[] = [];
    onCommand = (command) => void arrived.push(command);
    const error = await caught(qa.request("hello", { incarnation: "", pid: 0 }));
    expect(error).toMatchObject({
      code: "MESSAGE_INVALID",
      faults: [{ where: "data.incarnation" }, { where: "data.pid" }],
    });
    expect([...arrived, ...dead]).toEqual([]);
  });

  test("C2: faults of envelope and data are all answered, and handed on with the message", async () => {
    const given = {
      ...wrap("command.claim", { id: "", source: "x", timeMs: 0 }, { waitMs: -1, extra: 1 }),
      time: "now",
    };
    const answer = await raw(JSON.stringify(given));
    expect(answer).toMatchObject({ ok: false, retryable: false });
    const paths = answer.ok ? [] : answer.faults.map((fault) => fault.where);
    expect(paths.toSorted()).toEqual(["data", "data.waitMs", "id", "time"]);
    expect(dead).toMatchObject([
      {
        subject: "local.cmd.qa.qa1.claim",
        actor: { role: "qa", name: "qa1" },
        code: "MESSAGE_INVALID",
        excerpt: JSON.stringify(given),
      },
    ]);
    expect(dead[0]?.faults).toHaveLength(4);
    expect(dead[0]?.sha256).toMatch(/^[0-9a-f]{64}$/);
  });

  test.each([
    ["nothing", ""],
    ["no JSON", "{"],
    ["not UTF-8", Uint8Array.of(0x22, 0xff, 0x22)],
    ["no object", "[]"],
    [
      "another command's type",
      JSON.stringify(wrap("command.hello", { id: "1", source: "x", timeMs: 0 }, { waitMs: 1 })),
    ],
  ])("%s", async (_what, text) => {
    const answer = await raw(text);
    expect(answer.ok ? [] : answer.faults.map((fault) => fault.code)).toContain("MESSAGE_INVALID");
    expect(dead).toHaveLength(1);
  });

  test("a message above the size limit is answered with the reason, and its start is kept", async () => {
    const text = JSON.stringify(
      wrap("command.claim", { id: "1", source: "x", timeMs: 0 }, "x".repeat(limit.messageBytesMax)),
    );
    expect(await raw(text)).toMatchObject({ ok: false, faults: [{ code: "MESSAGE_TOO_LARGE" }] });
    expect(dead[0]?.excerpt).toHaveLength(limit.deadLetterBytesMax);
    await expect(
      createClient(agent).request("release", {
        assignment: "q-aaaaaaaa.qa",
        epoch: 1,
        reason: "x".repeat(2_000_000),
      }),
    ).rejects.toMatchObject({ code: "MESSAGE_INVALID" });
  });
});

describe("R1: trying again", () => {
  test("nobody listens: BUS_UNAVAILABLE with the next step, after the time given", async () => {
    const lonely = await openRig();
    const client = createClient(await lonely.connect("qa1"));
    const error = await caught(client.request("hello", hello, { retryForMs: 300 }));
    await lonely.close();
    expect(error).toMatchObject({ code: "BUS_UNAVAILABLE", retryable: true });
    expect((error as Error).message).toContain("no orchestrator listens");
  });

  test("no answer: the same command comes again, with the same id", async () => {
    const ids: string[] = [];
    onCommand = (command) => {
      ids.push(command.id);
      if (ids.length === 3) command.respond(yes("third time"));
    };
    expect(await qa.request("hello", hello, { timeoutMs: 100 })).toBe("third time");
    expect(new Set(ids).size).toBe(1);
  });

  test("the broker is killed while an answer is awaited, and comes back: same id, one answer", async () => {
    const ids: string[] = [];
    const first = Promise.withResolvers<void>();
    onCommand = (command) => {
      ids.push(command.id);
      if (ids.length === 1) first.resolve();
      else command.respond(yes("after the restart"));
    };
    const answer = qa.request("claim", { waitMs: 25_000 }, { retryForMs: 20_000 });
    await first.promise;
    await rig.restart();
    expect(await answer).toBe("after the restart");
    expect(ids).toEqual([ids[0], ids[0]]);
  });

  test("R3: the orchestrator is killed while an answer is awaited: its successor is asked at once", async () => {
    const other = await openRig();
    const first = await other.connect("orchestrator");
    const arrived = Promise.withResolvers<string>();
    await serveCommands(first, { onCommand: ({ id }) => arrived.resolve(id), onDead: () => {} });
    const answer = createClient(await other.connect("qa1")).request("claim", { waitMs: 25_000 });
    const id = await arrived.promise;
    await first.nats.close();
    const second = await other.connect("orchestrator");
    await serveCommands(second, {
      onCommand: (command) => command.respond(yes(command.id)),
      onDead: () => {},
    });
    expect(await answer).toBe(id);
    await other.close();
  });

  test("a request made while the broker is away is answered once it is back", async () => {
    let answer: Promise<unknown> = Promise.resolve();
    await rig.restart(async () => {
      await eventually(() => !agent.isUp());
      answer = qa.request("hello", hello, { retryForMs: 20_000 });
      await delay(300);
    });
    expect(await answer).toBe("hello");
  });

  test("a signal ends the wait for an answer, and the tries", async () => {
    onCommand = () => {};
    const stop = new AbortController();
    const waiting = caught(qa.request("claim", { waitMs: 20_000 }, { signal: stop.signal }));
    stop.abort(new Error("enough"));
    expect(await waiting).toMatchObject({ message: "enough" });
    expect(await caught(qa.request("hello", hello, { signal: stop.signal }))).toMatchObject({
      message: "enough",
    });
    const late = AbortSignal.timeout(250);
    expect(
      await caught(qa.request("hello", hello, { timeoutMs: 50, retryForMs: Infinity, signal: late })),
    ).toMatchObject({
      name: "TimeoutError",
    });
  });
});

test("Q3: what one client has open is bounded; one more is refused at once, and what is answered makes room", async () => {
  const held: Command[] = [];
  onCommand = (command) => void held.push(command);
  const requests = openRequests(agent, systemTime);
  const message = wrap("command.hello", { id: "one", source: "test", timeMs: 0 }, hello);
  const payload = Buffer.from(JSON.stringify(message));
  const send = () => requests.send("local.qa.qa1.hello", payload, 60_000);
  const open = Array.from({ length: limit.requestsPendingMax }, send);
  expect(await caught(send())).toMatchObject({ code: "OVERLOADED" });
  await eventually(() => held.length === open.length);
  onCommand = (command) => command.respond(yes(null));
  held[0]?.respond(yes(null));
  await Promise.race(open);
  expect((await send()).json()).toEqual(yes(null));
  for (const command of held.slice(1)) command.respond(yes(null));
  await Promise.all(open);
});

describe("R4: events", () => {
  let watching: BusConnection;
  let operator: BusClient;
  beforeAll(async () => {
    watching = await rig.connect("me");
    operator = createClient(watching);
  });

  test("an operator sees what was committed, all of it or one quest's, once each", async () => {
    const all: JournalRow[] = [];
    const one: JournalRow[] = [];
    const stopAll = await operator.watchEvents({}, (row) => void all.push(row));
    const stopOne = await operator.watchEvents({ quest: "q-bbbbbbbb" }, (row) => {
      one.push(row);
    });
    const stream = await openJournalStream(orchestrator);
    const rows = [eventAt(1), eventAt(2, "q-bbbbbbbb"), eventAt(3)];
    await stream.publish(rows);
    await stream.publish(rows);
    await eventually(() => all.length === 3 && one.length === 1);
    expect(all).toEqual(rows);
    expect(one).toEqual([rows[1]]);
    stopAll();
    stopOne();
    await stream.publish([eventAt(4)]);
    expect(await qa.request("hello", hello)).toBe("hello");
    expect(all).toHaveLength(3);
  });

  test("an agent hears what may end its lease, and nothing else", async () => {
    const heard: JournalRow[] = [];
    const stop = await qa.watchEvents({}, (row) => void heard.push(row));
    const stream = await openJournalStream(orchestrator);
    const body = { assignment: "q-bbbbbbbb.qa", epoch: 1, agent: "qa1", reason: "gone" };
    const ended: JournalEvent = { ...eventAt(8, "q-bbbbbbbb"), type: "lease.expired", body };
    await stream.publish([eventAt(6), eventAt(7, "q-bbbbbbbb"), ended]);
    await eventually(() => heard.length > 0);
    expect(await qa.request("hello", hello)).toBe("hello");
    expect(heard).toEqual([ended]);
    stop();
    const { nats } = agent;
    for (const wanted of [
      "local.event.>",
      "local.event.stack.>",
      "local.event.q-bbbbbbbb.>",
      "local.event.*.turn.*",
    ]) {
      const refused = Promise.withResolvers<string>();
      nats.subscribe(wanted, { callback: (error) => void refused.resolve(String(error)) });
      expect(await refused.promise).toMatch(/permissions violation/i);
    }
  });

  test("a watcher hears again after a restart of the broker", async () => {
    const seen: number[] = [];
    await operator.watchEvents({}, (row) => void seen.push(row.seq));
    const stream = await openJournalStream(orchestrator);
    await rig.restart();
    expect(await watching.whenUp(10_000)).toBe(true);
    await watching.nats.flush();
    await stream.publish([eventAt(11)], { retryForMs: 20_000 });
    await eventually(() => seen.length === 1);
    expect(seen).toEqual([11]);
  });

  test("what is no event is reported", async () => {
    const invalid: unknown[] = [];
    const row = { ...eventAt(5), hash: "short" };
    const message = wrap("event.quest.started", { id: "5", source: "x", timeMs: 5 }, row);
    expect(envelope.safeParse(message).success).toBe(true);
    const stop = await operator.watchEvents(
      { onInvalid: (faults) => void invalid.push(...faults) },
      () => {},
    );
    orchestrator.nats.publish(eventSubject("local", null, "x"), JSON.stringify(message));
    orchestrator.nats.publish(eventSubject("local", null, "x"), "{");
    await eventually(() => invalid.length === 2);
    stop();
    expect(invalid).toMatchObject([{ where: "data.hash" }, { where: "message" }]);
  });
});

describe("connections", () => {
  test("without a broker: BUS_UNAVAILABLE", async () => {
    const credential = rig.credentialOf("qa1").path;
    await expect(connectBus({ url: "nats://127.0.0.1:1", credential })).rejects.toMatchObject({
      code: "BUS_UNAVAILABLE",
      exit: 4,
    });
  });

  test("closing is bounded while the broker is away, ends waits, and can be done twice", async () => {
    const connection = await rig.connect("qa2");
    await rig.restart(async () => {
      await eventually(() => !connection.isUp());
      const waiting = connection.whenUp(60_000);
      const asked = caught(createClient(connection).request("hello", hello, { retryForMs: Infinity }));
      await connection.close();
      await connection.close();
      expect(await waiting).toBe(false);
      expect(await asked).toMatchObject({ code: "BUS_UNAVAILABLE" });
    });
  });

  test("whenUp gives up after its time", async () => {
    const connection = await rig.connect("qa2");
    await rig.restart(async () => {
      await eventually(() => !connection.isUp());
      expect(await connection.whenUp(30)).toBe(false);
    });
    const back = new Promise<void>((resolve) => connection.onReconnect(resolve));
    expect(await connection.whenUp(10_000)).toBe(true);
    await back;
  });
});
