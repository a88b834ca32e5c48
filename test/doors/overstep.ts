import { randomUUID } from "node:crypto";
import { type BusClient, type BusConnection, connectBus, createClient, credentialPath } from "@questbus/bus";
import {
  type ClaimAnswer,
  type EventType,
  type Grant,
  type JournalEvent,
  type Principal,
  roles,
  type Verb,
  wrap,
} from "@questbus/protocol";
import {
  type JournalWatch,
  openPlace,
  questbus,
  startQuestbus,
  until,
  watchJournal,
} from "@questbus/testkit";
import { scriptedReport, submission } from "@questbus/testkit/scripted-report";
import { as, type Introduction, keyOf, openSocket, type RawClient } from "./socket.ts";

/**
 * A real stack, and somebody on it who means harm: `qa/mine`, with a valid credential and a bare socket. `qa/qa` holds an
 * assignment and an ask meanwhile, which are what there is to take.
 */
export type Stage = {
  readonly url: string;
  readonly quest: string;
  /** What `qa/qa` holds. */
  readonly held: { assignment: Grant; ask: { assignment: string; epoch: number } };
  /** The id of the command with which `qa/qa` claimed. */
  readonly claimId: string;
  readonly journal: JournalWatch;
  path(role: string, name: string): string;
  /** A socket as `qa/mine`, or as whoever is introduced. */
  socket(introduce?: Introduction): Promise<RawClient>;
  /** A credential that was valid until just now. */
  readonly revoked: ReturnType<typeof keyOf>;
};

export type OpenStage = Stage & {
  /** An ask of the operator is answered, and the quest goes on with what `qa/qa` found; throws when either does not. */
  isServed(): Promise<void>;
  agents(): Promise<string>;
  /** Ends the stack. */
  close(): Promise<void>;
};

const mine = "mine";
const renewEveryMs = 2_000;

export async function openStage(): Promise<OpenStage> {
  const place = openPlace("overstep");
  const cli = (...args: string[]) => questbus(place, [...args, "--state", "state"]);
  for (const name of [mine, "gone"]) await cli("agent", "add", name, "--role", "qa");
  const path = (role: string, name: string): string =>
    credentialPath(place.path("state"), role as Principal, name);
  const revoked = keyOf(path("qa", "gone"));
  const stack = startQuestbus(place, ["up", "--state", "state", "--without", ...roles]);
  await until("the stack to be up", () => stack.printed().stdout !== "");
  const url = /nats:\/\/[\d.:]+/.exec(stack.printed().stdout)?.[0] as string;
  const connections: BusConnection[] = [];
  const clientAs = async (role: string): Promise<BusClient> => {
    const connection = await connectBus({ url, credential: path(role, role) });
    connections.push(connection);
    return createClient(connection);
  };
  const players = new Map<string, BusClient>();
  for (const role of [...roles, "operator"]) players.set(role, await clientAs(role));
  const player = (role: string): BusClient => players.get(role) as BusClient;
  await cli("agent", "revoke", "gone", "--role", "qa");

  const { quest } = (await player("operator").request("submit", submission())) as { quest: string };
  const { id: claimId, grant: assignment } = await playUntilHeld(player);
  const ask = await askHeld(player);
  const renewing = setInterval(() => {
    for (const { assignment: each, epoch } of [assignment, ask])
      void player("qa")
        .request("renew", { assignment: each, epoch })
        .catch(() => {});
  }, renewEveryMs);
  const sockets: RawClient[] = [];
  const journal = watchJournal(place.path("state"));
  return {
    url,
    quest,
    held: { assignment, ask },
    claimId,
    journal,
    path,
    revoked,
    async socket(introduce = as(keyOf(path("qa", mine)))) {
      const socket = await openSocket(url, introduce);
      sockets.push(socket);
      return socket;
    },
    async isServed() {
      await player("qa").request("report", {
        task: "ask",
        asks: [{ ...ask, phase: "test", result: "as ever", fault: null }],
      });
      await player("qa").request("report", scriptedReport(assignment));
      await answeredAsk(player);
      await playOut(player, quest, journal);
    },
    agents: async () => (await cli("agents")).stderr,
    async close() {
      clearInterval(renewing);
      for (const socket of sockets) socket.close();
      await Promise.all(connections.map((each) => each.close()));
      stack.signal("SIGINT");
      await stack.ended;
      journal.close();
      await place.close();
    },
  };
}

type Player = (role: string) => BusClient;

async function claimed(player: Player, role: string, options = {}): Promise<Grant | null> {
  const answer = (await player(role).request("claim", { waitMs: 0 }, options)) as ClaimAnswer;
  return answer.status === "granted" ? answer.grant : null;
}

/** Plays the quest until QA is at its turn, and claims that. */
async function playUntilHeld(player: Player): Promise<{ id: string; grant: Grant }> {
  for (;;) {
    const id = randomUUID();
    const grant = await claimed(player, "qa", { id });
    if (grant) return { id, grant };
    await step(player, "qa");
  }
}

/** One task of a role that has one. */
async function step(player: Player, without: string): Promise<boolean> {
  for (const role of roles.filter((each) => each !== without)) {
    const grant = await claimed(player, role);
    if (grant) await player(role).request("report", scriptedReport(grant));
    if (grant) return true;
  }
  return false;
}

async function playOut(player: Player, quest: string, journal: JournalWatch): Promise<void> {
  while (await step(player, "nobody"));
  const ended = journal.of("quest.ended").find((row) => row.quest === quest);
  if (ended?.body.ending === "accepted") return;
  const last = journal
    .rows()
    .filter((row) => row.quest === quest)
    .slice(-5);
  throw new Error(`the quest did not go on to its end: ${JSON.stringify(last).slice(0, 3_000)}`);
}

async function askHeld(player: Player): Promise<{ assignment: string; epoch: number }> {
  await player("operator").request("ask", {
    role: "qa",
    phases: ["test"],
    text: "held",
    data: null,
    waitMs: 0,
  });
  const answer = (await player("qa").request("claim", { waitMs: 1_000, asks: 1 })) as ClaimAnswer;
  if (answer.status !== "asked" || !answer.asks[0]) throw new Error("no ask was offered");
  const { assignment, epoch } = answer.asks[0];
  return { assignment, epoch };
}

async function answeredAsk(player: Player): Promise<void> {
  const answered = player("operator").request("ask", {
    role: "ops",
    phases: ["test"],
    text: "are you there?",
    data: null,
    waitMs: 10_000,
  });
  const claim = (await player("ops").request("claim", { waitMs: 5_000, asks: 1 })) as ClaimAnswer;
  if (claim.status !== "asked") throw new Error("the ask was not offered");
  const asks = claim.asks.map(({ assignment, epoch, phase }) => ({
    assignment,
    epoch,
    phase,
    result: "yes",
    fault: null,
  }));
  await player("ops").request("report", { task: "ask", asks });
  const answer = await answered;
  if ((answer as { status: string }).status !== "answered") throw new Error(JSON.stringify(answer));
}

/** How an attempt is seen by an operator: a row of the journal. */
export type Seen = Partial<{ [T in EventType]: Readonly<Record<string, unknown>> }>;

export type Attempt = {
  readonly name: string;
  run(stage: Stage): Promise<RawClient>;
  readonly seen: Seen;
  /** A storm is counted; its count is said within a minute, or when the stack ends. */
  readonly isStorm?: true;
};

/** Rows that tell of attempts; any other is an effect. */
const records: readonly EventType[] = [
  "broker.refused",
  "command.refused",
  "refusals.counted",
  "message.dead",
  "dead.counted",
  "injection.suspected",
  "breaker.counted",
  "breaker.opened",
];
/** What `qa/mine` may hear: its own inbox, what may end its lease, and the word that an orchestrator serves. */
const own = [
  /^_INBOX_qa-mine\./,
  /^local\.event\.[^.]+\.(quest\.ended|pass\.judged|lease\.expired)$/,
  /^local\.notice\./,
];

export type Outcome = { effects: string[]; isSeen: boolean };

const seenMsMax = 20_000;

export async function play(stage: Stage, { run, seen }: Attempt): Promise<Outcome> {
  const afterSeq = stage.journal.lastSeq();
  const rows = (): JournalEvent[] => stage.journal.rows(afterSeq);
  const socket = await run(stage);
  const isSeen = await until("a record of it", () => rows().some((row) => fits(row, seen)), seenMsMax).catch(
    () => false,
  );
  const heard = [...socket.heard().matchAll(/\r\nH?MSG (\S+)/g)].map(([, subject = ""]) => subject);
  const foreign = heard.filter((subject) => !own.some((each) => each.test(subject)));
  const effects = rows().flatMap((row) => (isEffect(row) ? [`${row.type} ${JSON.stringify(row.body)}`] : []));
  socket.close();
  return { effects: [...effects, ...foreign.map((each) => `heard ${each}`)], isSeen };
}

/** Records of what somebody else is said to have done are an effect, too. */
function isEffect({ type, actor, body }: JournalEvent): boolean {
  const { agent = `${actor.role}/${actor.name}` } = body as { agent?: string };
  return !records.includes(type) || !["qa/mine", "qa/gone", "orchestrator/orchestrator"].includes(agent);
}

const fits = ({ type, body }: JournalEvent, seen: Seen): boolean => {
  const wanted = seen[type];
  return (
    wanted !== undefined && Object.entries(wanted).every(([key, value]) => isLike(body[key as never], value))
  );
};
const isLike = (found: unknown, wanted: unknown): boolean =>
  wanted instanceof RegExp ? wanted.test(String(found)) : found === wanted;

export const command = (verb: Verb, data: unknown, id: string = randomUUID()): string =>
  JSON.stringify(wrap(`command.${verb}`, { id, source: "questbus/local/qa/mine", timeMs: Date.now() }, data));
