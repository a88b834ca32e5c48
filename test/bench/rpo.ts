import { randomUUID } from "node:crypto";
import { workAsks } from "@questbus/agent";
import type { BusClient } from "@questbus/bus";
import type { AskAnswer } from "@questbus/protocol";
import { lastOfSegments, openStore, type StoreReader, segmentsIn } from "@questbus/store";
import { openPlace, pidOf, startBareStack, until } from "@questbus/testkit";
import { insist } from "../faults/agents.ts";
import type { Area } from "./promise.ts";

/**
 * What a lost disk would cost: the orchestrator is killed while asks are answered as fast as they are, and the segments are
 * compared with the database before anything is started again. What the database holds and they do not is lost work.
 */
type Loss = { rows: number; ms: number };

const outstanding = 64;
/** Asks that are answered between two kills, at least; where in the archive's turn a kill falls is left to chance. */
const answeredMin = 500;
const waitMsMax = 120_000;

export const proveRpo: Area = async function* ({ full, note }) {
  const kills = full ? 30 : 10;
  const place = openPlace("rpo");
  const stopping = new AbortController();
  const state = place.path("state");
  const stack = await startBareStack(state);
  const load = openLoad(await stack.clientAs("operator"), stopping.signal);
  const working = workAsks({
    client: await stack.clientAs("qa"),
    asksMax: outstanding,
    answer: ({ text }) => text.length,
    signal: stopping.signal,
  });
  const store = openStore({ dir: state, mode: "read" });
  const losses: Loss[] = [];
  try {
    for (let at = 0; at < kills; at += 1) {
      const wanted = load.answered() + answeredMin + Math.floor(Math.random() * answeredMin);
      await until("the asks to be answered", () => load.answered() >= wanted, waitMsMax);
      losses.push(lossAtKill(state, store));
      const { rows, ms } = losses.at(-1) as Loss;
      note(`  kill ${at + 1} of ${kills}: ${rows} rows behind, the oldest ${ms} ms old`);
    }
    yield rowOf(losses, load.perSecond());
  } finally {
    stopping.abort();
    await Promise.all([working, load.ended]);
    store.close();
    await stack.stop();
    await place.close();
  }
};

/** Kills, and looks before the next orchestrator can: it takes longer to start than this to read. */
function lossAtKill(state: string, store: StoreReader): Loss {
  const pid = pidOf(state, "orchestrator");
  if (pid === null) throw new Error("no orchestrator is running");
  process.kill(pid, "SIGKILL");
  const killedMs = Date.now();
  const held = lastOfSegments(segmentsIn(`${state}/backups`))?.seq ?? 0;
  const rows = store.head().seq - held;
  const [lost] = rows > 0 ? store.readJournal({ afterSeq: held, limit: 1 }) : [];
  return { rows: Math.max(0, rows), ms: lost ? killedMs - lost.timeMs : 0 };
}

/** A closed loop of asks, each of one phase. */
function openLoad(client: BusClient, signal: AbortSignal) {
  let answered = 0;
  const sinceMs = performance.now();
  const lane = async (): Promise<void> => {
    while (!signal.aborted) {
      const id = randomUUID();
      const asked = { role: "qa" as const, phases: ["fix" as const], text: id, data: null, waitMs: 20_000 };
      let answer: AskAnswer | null = null;
      while (answer?.status !== "answered")
        answer = (await insist(client, "ask", asked, { id, signal })) as AskAnswer | null;
      answered += 1;
    }
  };
  const ended = Promise.all(
    Array.from({ length: outstanding }, () =>
      lane().catch((error: unknown) => {
        if (!signal.aborted) throw error;
      }),
    ),
  );
  return {
    answered: () => answered,
    perSecond: () => Math.round((answered / (performance.now() - sinceMs)) * 1_000),
    ended,
  };
}

function rowOf(losses: readonly Loss[], perSecond: number) {
  const ms = losses.map((loss) => loss.ms).sort((a, b) => a - b);
  const rows = losses.map((loss) => loss.rows).sort((a, b) => a - b);
  const [median, max] = [ms[Math.floor(ms.length / 2)] ?? 0, ms.at(-1) ?? 0];
  return {
    id: "faults.rpo",
    what: "age of the oldest committed row that the segments lack when the orchestrator is killed under load (RPO)",
    goal: "≤ 1 s, each time",
    value: `median ${median} ms, most ${max} ms; rows: median ${rows[Math.floor(rows.length / 2)]}, most ${rows.at(-1)} (${losses.length} kills at ${perSecond} asks/s; ms ${ms.join(" ")})`,
    ok: max <= 1_000,
  };
}
