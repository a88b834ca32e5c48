import { openStage, play } from "../../doors/overstep.ts";
import { attempts } from "../../doors/overstep-attempts.ts";
import type { Area } from "../promise.ts";

/** What the holder of a valid `qa` credential tries beyond its own, on a real stack. */
export const proveOverstep: Area = async function* ({ note }) {
  const stage = await openStage();
  const effects: string[] = [];
  let seen = 0;
  let served = "served";
  try {
    for (const attempt of attempts) {
      const outcome = await play(stage, attempt);
      if (outcome.isSeen) seen += 1;
      if (outcome.effects.length > 0) effects.push(`${attempt.name}: ${outcome.effects.join("; ")}`);
      const found = outcome.effects.length > 0 ? "HAD AN EFFECT" : "no effect";
      note(`${found}, ${outcome.isSeen ? "seen" : "NOT SEEN"}: ${attempt.name}`);
    }
    await stage.isServed().catch((error: unknown) => {
      served = `NOT served: ${error instanceof Error ? error.message : error}`;
    });
  } finally {
    await stage.close();
  }
  const told = effects.length > 0 ? `: ${effects.join(" | ")}` : "";
  yield {
    id: "doors.overstep",
    what: "attempts of a valid qa credential beyond its own, on a bare socket; an ask and a quest after them",
    goal: "25 or more, 0 had an effect, all visible, served as before",
    value: `${attempts.length} attempts, ${effects.length} had an effect, ${seen} visible; then ${served}${told}`,
    ok: attempts.length >= 25 && effects.length === 0 && seen === attempts.length && served === "served",
  };
};
