import { exitCode, type PauseAnswer, type PauseScope, QuestbusError, type Role } from "@questbus/protocol";
import type { Common } from "./command-run.ts";
import { questState } from "./journal-view.ts";
import { ago, printData, printJson } from "./output.ts";
import { withStack } from "./session.ts";
import { openWithheld, scopeOption, scopeText, withheldText } from "./withheld.ts";

/** What a command line names: exactly one of these. */
export type ScopeOptions = { role?: Role; all?: boolean; safeMode?: boolean };

/** @throws QuestbusError USAGE */
export function scopeOf(quest: string | undefined, { role, all, safeMode }: ScopeOptions): PauseScope {
  const named: PauseScope[] = [
    quest,
    role,
    all && ("all" as const),
    safeMode && ("safe-mode" as const),
  ].filter((each): each is PauseScope => typeof each === "string");
  const [scope, ...rest] = named;
  if (scope && rest.length === 0) return scope;
  throw new QuestbusError({
    code: "USAGE",
    message: scope ? `name one of ${named.map(scopeOption).join(", ")}` : "nothing is named",
    next: "give a quest's id, --role ROLE, --all or --safe-mode",
  });
}

/** `questbus pause`: stops a quest, a role or everything; what is held may be finished. */
export const pauseScope = (scope: PauseScope, why: string, common: Common): Promise<number> =>
  send(common, "pause", { scope, why });

/** `questbus resume` */
export const resumeScope = (scope: PauseScope, common: Common): Promise<number> =>
  send(common, "resume", { scope });

/**
 * Where nothing runs, the orchestrator is started alone: no agent takes anything up meanwhile. Only a pause of more than a
 * quest may come before everything else.
 */
async function send(
  common: Common,
  verb: "pause" | "resume",
  data: { scope: PauseScope; why?: string },
): Promise<number> {
  const running = verb === "pause" && !data.scope.startsWith("q-") ? "any" : "stored";
  const options = { stateDir: common.state, running, signal: common.signal, agents: false } as const;
  return withStack(options, async (session) => {
    const operator = await session.clientAs("operator");
    const answer = (await operator.request(verb, data as { scope: PauseScope; why: string })) as PauseAnswer;
    const { scope } = answer;
    const withheld = scope.startsWith("q-")
      ? openWithheld(session.store)(questState(session.store, scope))
      : null;
    if (common.json) printJson({ ...answer, withheld });
    else {
      printData(toldOf(answer));
      if (!answer.paused && withheld) printData(`it does not go on yet: ${withheldText(withheld)}`);
    }
    return exitCode.ok;
  });
}

function toldOf({ scope, paused, changed, pause }: PauseAnswer): string {
  const what = scopeText(scope);
  if (!paused) return changed ? `${what}: resumed` : `${what}: was not paused`;
  if (changed) return `${what}: paused; go on: questbus resume ${scopeOption(scope)}`;
  return `${what}: was paused already, ${ago(pause?.atMs ?? 0, Date.now())} by ${pause?.by}: ${pause?.why}`;
}
