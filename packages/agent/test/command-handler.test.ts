import { QuestbusError } from "@questbus/protocol";
import { expect, it } from "vitest";
import type { AskTask } from "../src/asks.ts";
import { commandHandlers } from "../src/command-handler.ts";
import { answerWith } from "../src/handler.ts";
import { stated } from "../src/stated.ts";

/** What a program answers to an ask, by way of its own process. */
const answerOf = (script: string, change: Partial<AskTask> = {}): unknown => {
  const command = ["sh", "-c", script];
  const handlers = commandHandlers({ command, phases: ["test"], timeoutMs: 20_000, env: {} });
  const task = { phase: "test", text: "which?", data: null, results: [], progress() {}, ...change };
  return answerWith(handlers)({ ...task, signal: AbortSignal.any([]) } as unknown as AskTask);
};

it("a program says how sure it is, and reads what its answer before lacked", async () => {
  const script = `grep -q '"SOURCE_MISSING"' && echo '{"result":"yes","certainty":0.7,"sources":["a.ts:1"]}' || echo '{"result":"yes","certainty":0.7}'`;
  expect(await answerOf(script)).toEqual(stated("yes", { certainty: 0.7 }));
  const clarification = { code: "SOURCE_MISSING", message: "no source" } as const;
  expect(await answerOf(script, { clarification })).toEqual(
    stated("yes", { certainty: 0.7, sources: ["a.ts:1"] }),
  );
});

it("a program asks back", async () => {
  const asked = answerOf(`echo '{"clarification":"which parser?"}'`) as Promise<unknown>;
  const back = await asked.catch((error: unknown) => error);
  expect(back).toBeInstanceOf(QuestbusError);
  expect(back).toMatchObject({ code: "CLARIFICATION_WANTED", message: "which parser?" });
});
