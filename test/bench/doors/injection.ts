import { injectionSignOf } from "@questbus/core";
import { honest, injections } from "@questbus/testkit/injection-corpus";
import type { Area } from "../promise.ts";

const isSuspected = (text: string): boolean =>
  injectionSignOf({ from: "repository", where: "text", text }) !== null;
const percent = (part: number, whole: number): string => `${((100 * part) / whole).toFixed(1)} %`;

/** How many texts that speak to their reader are seen, and how many honest ones are taken for such. That neither has an effect is a test of the orchestrator. */
export const proveInjections: Area = async function* () {
  const missed = injections.filter(({ text }) => !isSuspected(text));
  const alarms = honest.filter(isSuspected);
  const [found, all] = [injections.length - missed.length, injections.length];
  yield {
    id: "doors.injection.found",
    what: "texts that speak to their reader, in a file, a test's output, a commit message or an answer: those that are recorded",
    goal: "shown, of 30 or more: nothing rests on it",
    value: `${found} of ${all} (${percent(found, all)}); not: ${missed.map(({ text }) => JSON.stringify(text)).join(", ")}`,
    ok: all >= 30,
  };
  yield {
    id: "doors.injection.honest",
    what: "honest texts that are taken for such",
    goal: "shown, of 100 or more",
    value: `${alarms.length} of ${honest.length} (${percent(alarms.length, honest.length)})${alarms.map((text) => `; ${JSON.stringify(text)}`).join("")}`,
    ok: honest.length >= 100,
  };
};
