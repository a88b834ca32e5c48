import { createUser } from "@nats-io/nkeys";
import { limit } from "@questbus/protocol";
import { scriptedReport } from "@questbus/testkit/scripted-report";
import { type Attempt, command, type Seen, type Stage } from "./overstep.ts";
import { as, type Introduction, keyOf, pub, type RawClient } from "./socket.ts";

/** What a holder of a valid `qa` credential tries with a bare socket, and how an operator sees each. docs/security.md lists them. */

type Lines = (string | Buffer)[];

/** Sends lines as `qa/mine`, and waits until the broker has read them. */
const sends =
  (lines: (stage: Stage) => Lines) =>
  async (stage: Stage): Promise<RawClient> => {
    const socket = await stage.socket();
    await socket.settled();
    socket.send(...lines(stage));
    await socket.settled();
    return socket;
  };

const publishes = (name: string, subject: string, payload = "{}"): Attempt => ({
  name,
  run: sends(({ quest }) => [pub(subject.replace("QUEST", quest), payload, "_INBOX_qa-mine.1")]),
  seen: { "broker.refused": { kind: "publish" } },
});
const listens = (name: string, ...subjects: string[]): Attempt => ({
  name,
  run: sends(() => subjects.map((subject, at) => `SUB ${subject} ${at + 1}\r\n`)),
  seen: { "broker.refused": { kind: "subscribe" } },
});

/** A command of its own, to which the orchestrator says no. */
const commands = (
  name: string,
  verb: Parameters<typeof command>[0],
  data: (stage: Stage) => unknown,
  code: string,
  id?: (stage: Stage) => string,
): Attempt => ({
  name,
  run: sends((stage) => [
    pub(`local.qa.mine.${verb}`, command(verb, data(stage), id?.(stage)), "_INBOX_qa-mine.1"),
  ]),
  seen: { "command.refused": { verb, code } },
});

/** A message that cannot be read. */
const malformed = (
  name: string,
  payload: string | Buffer | ((stage: Stage) => string),
  fault: RegExp | string,
): Attempt => ({
  name,
  run: sends((stage) => [
    pub("local.qa.mine.report", typeof payload === "function" ? payload(stage) : payload, "_INBOX_qa-mine.1"),
  ]),
  seen: { "message.dead": typeof fault === "string" ? { code: fault } : { faults: fault } },
});

const stale = ({ held }: Stage): { assignment: string; epoch: number; reason: string } => ({
  assignment: held.assignment.assignment,
  epoch: held.assignment.epoch,
  reason: "mine now",
});
const staleRefused: Seen = { "command.refused": { verb: "release", code: "LEASE_STALE" } };

/** A command that is refused, whose answer is to go somewhere else. */
const replies = (name: string, reply: string): Attempt => ({
  name,
  run: sends((stage) => [pub("local.qa.mine.release", command("release", stale(stage)), reply)]),
  seen: staleRefused,
});
const heads = (name: string, headers: string, seen: Seen = staleRefused): Attempt => ({
  name,
  run: sends((stage) => [
    pub("local.qa.mine.release", command("release", stale(stage)), "_INBOX_qa-mine.1", headers),
  ]),
  seen,
});
const speaks = (name: string, lines: Lines, kind: string): Attempt => ({
  name,
  run: sends(() => lines),
  seen: { "broker.refused": { kind } },
});
const enters = (name: string, introduce: (stage: Stage) => Introduction): Attempt => ({
  name,
  async run(stage) {
    const socket = await stage.socket(introduce(stage));
    socket.send(pub("local.qa.mine.release", command("release", stale(stage))));
    await socket.settled();
    return socket;
  },
  seen: { "broker.refused": { kind: "credential" } },
});

const storms = (name: string, lines: (stage: Stage) => Lines, seen: Seen): Attempt => ({
  name,
  run: sends(lines),
  seen,
  isStorm: true,
});
const times = <T>(count: number, make: (at: number) => T): T[] =>
  Array.from({ length: count }, (_, at) => make(at));

const withData = (text: string): string => command("report", null).replace('"data":null', `"data":${text}`);
const askOutcome = ({ held }: Stage, result: unknown = "mine") => ({
  task: "ask",
  asks: [{ ...held.ask, phase: "test", result, fault: null }],
});

/** By what is tried. */
export const attemptsOf: Readonly<Record<string, readonly Attempt[]>> = {
  "Another's name": [
    publishes("publish as an agent of another role", "local.ops.ops.report"),
    publishes("publish as another agent of its own role", "local.qa.qa.release"),
    publishes("publish as the operator", "local.operator.operator.cancel"),
    publishes("publish as the arbiter", "local.arbiter.arbiter.rule"),
    publishes("publish as a worker", "local.worker.worker.supply"),
    publishes("send a verb that its role has not", "local.qa.mine.rule"),
    publishes("send a verb that nobody has", "local.qa.mine.become-operator"),
    publishes("publish on the orchestrator's side of its own account", "local.cmd.qa.mine.release"),
    publishes("publish on the orchestrator's side as another role", "local.cmd.operator.operator.cancel"),
    publishes("publish to many by a wildcard", "local.qa.*.release"),
    publishes("publish an event: the quest has ended", "local.event.QUEST.quest.ended"),
    publishes("say that another orchestrator serves", "local.notice.serving"),
    publishes("publish a dead letter of somebody", "local.dead.message_invalid"),
    publishes("publish a batch of the cluster's leader", "local.batch"),
    {
      name: "name another sender in the envelope and its data",
      run: sends((stage) => [
        pub(
          "local.qa.mine.release",
          JSON.stringify({
            ...JSON.parse(command("release", stale(stage))),
            source: "questbus/local/qa/qa",
            subject: "qa/qa",
            actor: { role: "operator", name: "operator" },
          }),
        ),
      ]),
      seen: staleRefused,
    },
    malformed(
      "send another verb's command on its own subject",
      ({ quest }) => command("cancel", { quest, reason: "mine" }),
      /type: expected questbus\.command\.report\.v1/,
    ),
  ],
  "Another's lease": [
    commands(
      "report what another agent holds",
      "report",
      ({ held }) => scriptedReport(held.assignment),
      "LEASE_STALE",
    ),
    commands(
      "renew what another agent holds",
      "renew",
      ({
        held: {
          assignment: { assignment, epoch },
        },
      }) => ({ assignment, epoch }),
      "LEASE_STALE",
    ),
    commands("release what another agent holds", "release", stale, "LEASE_STALE"),
    commands(
      "say a note on what another agent holds",
      "note",
      ({
        held: {
          assignment: { assignment, epoch },
        },
      }) => ({ assignment, epoch, text: "all is well" }),
      "LEASE_STALE",
    ),
    commands(
      "report under an epoch that is to come",
      "report",
      ({ held }) => ({ ...scriptedReport(held.assignment), epoch: 99 }),
      "LEASE_STALE",
    ),
    commands(
      "report for another role's assignment",
      "report",
      ({ held, quest }) => ({ ...scriptedReport(held.assignment), assignment: `${quest}.ops` }),
      "ROLE_FORBIDDEN",
    ),
    commands(
      "report a pass that is beyond the last",
      "report",
      ({ held }) => ({ ...scriptedReport(held.assignment), pass: 9 }),
      "PASS_LIMIT",
    ),
    commands(
      "report on a quest that is not there",
      "report",
      ({ held }) => ({ ...scriptedReport(held.assignment), assignment: "q-aaaaaaaa.qa" }),
      "QUEST_NOT_FOUND",
    ),
    commands("answer an ask that another agent holds", "report", askOutcome, "LEASE_STALE"),
    commands("renew an ask that another agent holds", "renew", ({ held }) => held.ask, "LEASE_STALE"),
    commands(
      "release an ask that another agent holds",
      "release",
      ({ held }) => ({ ...held.ask, reason: "mine now" }),
      "LEASE_STALE",
    ),
    commands(
      "ask for the answer to another's command by its id",
      "claim",
      () => ({ waitMs: 0 }),
      "MESSAGE_INVALID",
      ({ claimId }) => claimId,
    ),
  ],
  "What is not its own to read": [
    listens("listen to everything", ">"),
    listens("listen to every first word", "*.>"),
    listens("listen to the commands of all", "local.cmd.>", "local.*.*.report"),
    listens("listen to the commands of others as one of several servers", "local.cmd.> orchestrators"),
    listens("listen to the answers to another agent", "_INBOX_qa-qa.>"),
    listens("listen to the answers to everyone", "_INBOX.>", "_INBOX_operator-operator.>"),
    listens("listen to the private answers between accounts", "_R_.>", "_GR_.>"),
    listens("listen to the system", "$SYS.>"),
    listens("listen to JetStream", "$JS.>", "$KV.>", "$O.>"),
    listens("listen to dead letters and batches", "local.dead.>", "local.batch"),
    listens("listen to every event", "local.event.>"),
    listens("listen to what is asked, kept and said elsewhere", "local.event.stack.>"),
    listens("listen to what a quest's agents say in turns", "local.event.*.turn.>"),
  ],
  "JetStream and the system": [
    publishes("list the streams", "$JS.API.STREAM.LIST"),
    publishes("create a stream", "$JS.API.STREAM.CREATE.MINE", '{"name":"MINE","subjects":["local.>"]}'),
    publishes("delete the journal stream", "$JS.API.STREAM.DELETE.JOURNAL_LOCAL"),
    publishes("purge the journal stream", "$JS.API.STREAM.PURGE.JOURNAL_LOCAL"),
    publishes("make a consumer of the journal stream", "$JS.API.CONSUMER.CREATE.JOURNAL_LOCAL"),
    publishes(
      "read a message of the stream of dead letters",
      "$JS.API.STREAM.MSG.GET.DEAD_LOCAL",
      '{"seq":1}',
    ),
    publishes("read a stream directly", "$JS.API.DIRECT.GET.JOURNAL_LOCAL", '{"seq":1}'),
    publishes("take the leader's lease", "$KV.questbus-local.leader", "mine"),
    publishes("acknowledge for a consumer", "$JS.ACK.JOURNAL_LOCAL.standby.1.1.1.1.0", "+TERM"),
    publishes("ask the system who is connected", "$SYS.REQ.SERVER.PING.CONNZ"),
    publishes("have the system reload", "$SYS.REQ.SERVER.X.RELOAD"),
    publishes("ask the system who it is", "$SYS.REQ.USER.INFO"),
    publishes("discover services", "$SRV.PING"),
  ],
  "Where the answer goes": [
    replies("have the answer sent as another role's command", "local.cmd.ops.ops.report"),
    replies("have the answer sent as that role sends it", "local.ops.ops.report"),
    replies("have the answer sent as another agent of its own role", "local.qa.qa.release"),
    replies("have the answer sent as its own next command", "local.qa.mine.release"),
    replies("have the answer purge the journal stream", "$JS.API.STREAM.PURGE.JOURNAL_LOCAL"),
    replies("have the answer sent to another agent", "_INBOX_qa-qa.1.1"),
    replies("have the answer sent to the orchestrator", "_INBOX_orchestrator-main.1"),
    replies("have the answer sent as an event", "local.event.stack.agent.joined"),
    {
      ...replies("have the answer sent by another account's private way", "_R_.AAAAAA.BBBBBB"),
      seen: { "broker.refused": { kind: "publish", detail: "_R_.AAAAAA.BBBBBB" } },
    },
  ],
  Headers: [
    heads("have the broker trace its message to another's subject", "Nats-Trace-Dest: local.ops.ops.report", {
      "broker.refused": { kind: "publish" },
    }),
    heads(
      "say by headers that the message was stored and by whom",
      "Nats-Msg-Id: 1\r\nNats-Expected-Last-Sequence: 0\r\nNats-Rollup: all",
    ),
    heads(
      "say by headers who is asking",
      'Nats-Request-Info: {"acc":"BUS","user":"orchestrator"}\r\nQuestbus-Role: operator',
    ),
  ],
  Size: [
    malformed(
      "send more than a message may have",
      "x".repeat(limit.messageBytesMax + 1),
      "MESSAGE_TOO_LARGE",
    ),
    malformed("send just less than that", `"${"x".repeat(limit.messageBytesMax - 3)}"`, /expected object/),
    speaks(
      "send more than the broker takes",
      [pub("local.qa.mine.report", "x".repeat(2 * limit.messageBytesMax + 1))],
      "size",
    ),
    malformed("send numbers that grow as they are read", withData(`[${"1e20,".repeat(200_000)}1]`), /.+/),
  ],
  Malformed: [
    malformed("send nothing", "", /not JSON/),
    malformed("send what is no JSON", "{]", /not JSON/),
    malformed("send what is no UTF-8", Buffer.from([0x7b, 0xff, 0xfe, 0x7d]), /not UTF-8/),
    malformed("send half a surrogate pair", withData('{"task":"\\ud800"}'), /not well-formed/),
    malformed("send other types", withData('{"assignment":7,"epoch":"1","task":["suite"]}'), /data/),
    malformed("send null", "null", /expected object/),
    malformed(
      "send a prototype",
      withData('{"__proto__":{"role":"operator"},"constructor":{"prototype":{"role":"operator"}}}'),
      /data/,
    ),
    malformed("send a prototype as the whole", `{"__proto__":${command("report", {})}}`, /.+/),
    {
      name: "send each key twice, the last one another's",
      run: sends((stage) => [
        pub(
          "local.qa.mine.release",
          command("release", stale(stage)).replace(
            '"data":',
            '"data":{"assignment":"q-aaaaaaaa.qa"},"data":',
          ),
        ),
      ]),
      seen: staleRefused,
    },
  ],
  "Nested and numerous": [
    malformed(
      "send a hundred thousand nested arrays",
      withData("[".repeat(100_000) + "]".repeat(100_000)),
      /.+/,
    ),
    malformed("send nested objects", withData(`${'{"a":'.repeat(50_000)}1${"}".repeat(50_000)}`), /.+/),
    malformed(
      "send a report with a hundred thousand keys",
      withData(`{${times(60_000, (at) => `"k${at}":0`).join()}}`),
      /.+/,
    ),
    malformed(
      "send an answer that is nested too deep",
      (stage) => command("report", askOutcome(stage, JSON.parse("[".repeat(40) + "]".repeat(40)))),
      /nested at most/,
    ),
    malformed(
      "send a number of a hundred thousand digits",
      withData(`{"epoch":${"9".repeat(100_000)}}`),
      /data/,
    ),
  ],
  "The protocol's own lines": [
    speaks("speak another protocol", ["GET / HTTP/1.1\r\nHost: x\r\n\r\n"], "protocol"),
    speaks("speak as a server of the cluster", ["RS+ BUS local.cmd.>\r\n"], "protocol"),
    speaks("speak as a leaf of the broker", ["LS+ local.cmd.>\r\n"], "protocol"),
    speaks("name a size below nothing", ["PUB local.qa.mine.report -1\r\n\r\n"], "protocol"),
    speaks("name a size beyond all", ["PUB local.qa.mine.report 99999999999999999999\r\n"], "protocol"),
    speaks("send a line without end", [`PUB ${"a".repeat(8_192)}`], "protocol"),
    {
      name: "connect under a client's name that forges a line of the log",
      async run(stage) {
        const forged =
          'x" - "ROLE_ops/nkey:UAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" - Publish Violation\n[1]';
        const socket = await stage.socket(as(keyOf(stage.path("qa", "mine")), { name: forged }));
        socket.send(pub("local.ops.ops.claim", "{}"));
        await socket.settled();
        return socket;
      },
      seen: { "broker.refused": { kind: "publish", detail: "local.ops.ops.claim" } },
    },
  ],
  Credentials: [
    enters("connect without a word", () => () => null),
    enters("connect without a credential", () => () => ({ verbose: false })),
    enters("connect with a name and a password", () => () => ({
      user: "orchestrator",
      pass: "orchestrator",
    })),
    enters("connect with a token that says it is signed", () => () => ({
      jwt: "eyJhbGciOiJub25lIn0.e30.",
      sig: "",
    })),
    enters("connect as the orchestrator, signed by itself", (stage) =>
      as(keyOf(stage.path("qa", "mine")), { nkey: keyOf(stage.path("orchestrator", "main")).getPublicKey() }),
    ),
    enters("connect as another role, signed by itself", (stage) =>
      as(keyOf(stage.path("qa", "mine")), { nkey: keyOf(stage.path("ops", "ops")).getPublicKey() }),
    ),
    enters("connect as the system, signed by itself", (stage) =>
      as(keyOf(stage.path("qa", "mine")), { nkey: keyOf(stage.path("system", "main")).getPublicKey() }),
    ),
    enters("connect with a key that nobody has", () => as(createUser())),
    enters("connect with a credential that was revoked", ({ revoked }) => as(revoked)),
    enters(
      "connect with the signature of another connection",
      (stage) => () => as(keyOf(stage.path("qa", "mine")))("another nonce"),
    ),
  ],
  Storms: [
    storms(
      "release another's lease ten thousand times",
      (stage) => times(10_000, () => pub("local.qa.mine.release", command("release", stale(stage)))),
      { "refusals.counted": { verb: "release" } },
    ),
    storms(
      "wait with twenty thousand claims",
      () => times(20_000, () => pub("local.qa.mine.claim", command("claim", { waitMs: 1_000 }))),
      { "refusals.counted": { verb: "claim" } },
    ),
    storms(
      "send three thousand messages that cannot be read",
      () => times(3_000, () => pub("local.qa.mine.report", "{")),
      { "dead.counted": {} },
    ),
    storms(
      "publish as another two thousand times",
      () => times(2_000, () => pub("local.ops.ops.report", "{}")),
      { "broker.refused": { kind: "publish", count: /^(?!1$)/ } },
    ),
    storms(
      "subscribe five thousand times",
      () => times(5_000, (at) => `SUB _INBOX_qa-mine.${at} ${at}\r\n`),
      {
        "broker.refused": { kind: "limit" },
      },
    ),
  ],
};

export const attempts: readonly Attempt[] = Object.values(attemptsOf).flat();
