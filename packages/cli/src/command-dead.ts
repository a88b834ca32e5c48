import { nearWord } from "@questbus/agent";
import type { BusClient } from "@questbus/bus";
import { deadIdOf, deadSeqOf, isWhole } from "@questbus/core";
import {
  type DeadLetter,
  type EventBody,
  exitCode,
  plural,
  QuestbusError,
  type RetryAnswer,
} from "@questbus/protocol";
import type { StoreReader } from "@questbus/store";
import type { Common } from "./command-run.ts";
import { stateOption } from "./explain/words.ts";
import { ago, note, paint, printData, printFaults, printJson, table } from "./output.ts";
import { withStack, withStore } from "./session.ts";

const listMax = 1_000;

/** As people and programs read a letter. */
export const shownLetter = ({ seq, role, name, ...letter }: DeadLetter) => ({
  letter: deadIdOf({ seq }),
  from: `${role}/${name}`,
  ...letter,
});

/** `questbus dead list`: the open letters, or all, newest first. */
export function listDead(all: boolean, common: Common): number {
  return withStore(common.state, (store) => {
    const letters = store.listDead({ all, limit: listMax });
    if (common.json) printJson(letters.map(shownLetter));
    else if (letters.length === 0) printData("no dead letters");
    else {
      const head = ["letter", "from", "code", "first fault", "came", "state"];
      const rows = letters.map((each) => {
        const { letter, from, code, fault, timeMs } = shownLetter(each);
        return [letter, from, code, short(fault), ago(timeMs, Date.now()), stateText(each)];
      });
      printData(...table(head, rows));
      if (letters.length === listMax) note(`the newest ${listMax}: retry or drop some to see the others`);
    }
    return exitCode.ok;
  });
}

const faultCharsMax = 80;
const short = (text: string): string =>
  text.length > faultCharsMax ? `${text.slice(0, faultCharsMax - 3)}...` : text;

function stateText({ status, retries, counted }: DeadLetter): string {
  const often = retries > 0 ? `, tried again ${plural(retries, "time")} in vain` : "";
  return `${status}${often}${counted > 0 ? `: ${counted} more, counted and not kept` : ""}`;
}

/** `questbus dead show ID`: every fault, and what was sent. */
export function showDead(id: string, common: Common): number {
  return withStore(common.state, (store) => {
    const letter = letterOf(store, id);
    const body = bodyOf(store, letter);
    if (common.json) {
      const kept = body && {
        faults: body.faults,
        sha256: body.sha256,
        whole: isWhole(body),
        text: body.excerpt,
      };
      printJson({ ...shownLetter(letter), ...kept });
    } else printLetter(letter, body);
    return exitCode.ok;
  });
}

function printLetter(letter: DeadLetter, body: EventBody["message.dead"] | null): void {
  const { from, subject, code, fault, timeMs } = shownLetter(letter);
  printData(`${paint("bold", deadIdOf(letter))}  ${code}  ${stateText(letter)}`);
  printData(`from ${from} on ${subject}, ${new Date(timeMs).toISOString()}`);
  for (const each of body?.faults ?? [fault]) printData(`  ${each}`);
  if (!body) return;
  printData("", ...body.excerpt.split("\n").map((line) => `  ${line}`));
  if (!isWhole(body)) note("this is not all of it, or was no text: it cannot be retried");
}

function bodyOf(store: StoreReader, { seq }: DeadLetter): EventBody["message.dead"] | null {
  const [row] = store.readJournal({ afterSeq: seq - 1, limit: 1 });
  return row?.type === "message.dead" ? row.body : null;
}

/** `named`: all that were. @throws QuestbusError DEAD_NOT_FOUND, with the id that was most likely meant */
function letterOf(store: StoreReader, id: string, named: readonly string[] = []): DeadLetter {
  const letter = store.getDead(deadSeqOf(id));
  if (letter) return letter;
  const open = store.listDead({ limit: listMax }).map(deadIdOf);
  const near = nearWord(
    id,
    open.filter((each) => !named.includes(each)),
  );
  throw new QuestbusError({
    code: "DEAD_NOT_FOUND",
    message: `there is no dead letter ${id}`,
    next: `${near ? `did you mean ${near}? ` : ""}list them: questbus dead list --all`,
  });
}

/** `questbus dead retry ID...`: each is read again; exit 1 when one stays a dead letter. */
export function retryDead(ids: readonly string[], common: Common): Promise<number> {
  return eachLetter(ids, common, async (operator, letter) => {
    const answer = (await operator.request("retry", { letter })) as RetryAnswer;
    if (common.json) printJson(answer);
    else if (answer.status === "retried") printData(`${letter} was carried out`);
    else note(`${letter} stays a dead letter:`);
    if (answer.status === "retried") return exitCode.ok;
    if (!common.json) {
      printFaults(answer.faults, false);
      note(
        `  next: let its sender send it anew, then close this one: questbus dead drop ${letter}${stateOption(common.state)}`,
      );
    }
    return exitCode.failure;
  });
}

/** `questbus dead drop ID...` */
export function dropDead(ids: readonly string[], reason: string, common: Common): Promise<number> {
  return eachLetter(ids, common, async (operator, letter) => {
    const answer = await operator.request("drop", { letter, reason });
    if (common.json) printJson(answer);
    else printData(`${letter} was dropped`);
    return exitCode.ok;
  });
}

/** Every id has to be there before anything is done with the first. */
function eachLetter(
  ids: readonly string[],
  { state, signal }: Common,
  work: (operator: BusClient, letter: string) => Promise<number>,
): Promise<number> {
  return withStack({ stateDir: state, running: "required", signal }, async (session) => {
    for (const id of ids) letterOf(session.store, id, ids);
    const operator = await session.clientAs("operator");
    let exit: number = exitCode.ok;
    for (const id of ids) exit = Math.max(exit, await work(operator, id));
    return exit;
  });
}
