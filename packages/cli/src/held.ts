import { resolve } from "node:path";
import { type BusClient, connectBus, createClient, credentialPath } from "@questbus/bus";
import type { HeldProgress } from "@questbus/protocol";
import { isWatched } from "./output.ts";
import { findStack } from "./stack-record.ts";

/** What the agents at work said last. It is in no database: the orchestrator that runs is asked, and a moment is enough. */
const answerMsMax = 1_000;
const askEveryMs = 1_000;

async function ask(client: BusClient): Promise<HeldProgress[]> {
  const answer = await client.request("progress", {}, { timeoutMs: answerMsMax, retryForMs: 0 });
  return (answer as { held: HeldProgress[] }).held;
}

/** Of a state directory; nothing where no stack runs, or none that answers. */
export async function heldProgress(stateDir: string): Promise<HeldProgress[]> {
  const dir = resolve(stateDir);
  const stack = findStack(dir);
  if (!stack) return [];
  const { url, space } = stack;
  try {
    const credential = credentialPath(dir, "operator", "operator");
    const connection = await connectBus({ url, space, credential });
    try {
      return await ask(createClient(connection));
    } finally {
      await connection.close();
    }
  } catch {
    return [];
  }
}

/** Tells it again and again while a person looks; the result stops that. */
export function followHeld(client: BusClient, tell: (held: readonly HeldProgress[]) => void): () => void {
  if (!isWatched()) return () => {};
  const timer = setInterval(() => void ask(client).then(tell, () => {}), askEveryMs);
  return () => clearInterval(timer);
}

export const heardAgo = ({ heardAgoMs }: HeldProgress): string => `${Math.round(heardAgoMs / 1_000)} s ago`;
/** One of them for people: `pair 14 of 90, 3 s ago`. */
export const progressText = (held: HeldProgress): string => `${held.step}, ${heardAgo(held)}`;
