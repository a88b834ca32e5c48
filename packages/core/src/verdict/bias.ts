import type { Effect, Pair } from "@questbus/protocol";
import { estimateEffect } from "./effect.ts";
import type { Better } from "./log-gain.ts";

/**
 * What an arm gains by being an arm, not by its code. Random order cancels what the machine does over time; it cannot
 * cancel what goes with one arm for good: its path, the size of its environment, how its build fell out. The margin has to
 * be wider than that.
 */

/** Margins are named in steps of half a per cent. */
const marginStep = 0.005;

/**
 * `same`: the same tree twice, as every pair runs (A/A); only chance is in it. `moved`: that tree against itself, rebuilt
 * in another place (A/A′). Both are gains of the second arm. `steady`: the interval of `same` has room for none, as it must,
 * or neither series says anything of a bias. `shown`: it is, and the interval of `moved` leaves no room for none. `upTo`: the
 * largest bias, either way, that the interval leaves. `margin`: what the quest's margin should be, as a fraction: its own
 * where that is wide enough or nothing was shown; null where nothing can be said.
 */
export type Bias = {
  same: Effect;
  moved: Effect;
  steady: boolean;
  shown: boolean;
  upTo: number;
  margin: number | null;
};

const leavesNoRoom = ({ low, high }: Effect): boolean => low > 0 || high < 0;

/** Null with a broken pair, or fewer than 6 in a series. `margin`: the quest's own, as a fraction. */
export function estimateBias(
  series: { same: readonly Pair[]; moved: readonly Pair[] },
  better: Better,
  margin: number,
): Bias | null {
  const same = estimateEffect(series.same, better);
  const moved = estimateEffect(series.moved, better);
  if (!same || !moved) return null;
  const steady = !leavesNoRoom(same);
  const shown = steady && leavesNoRoom(moved);
  const upTo = Math.max(Math.abs(moved.low), Math.abs(moved.high));
  const wide = marginStep * Math.ceil(Number((upTo / marginStep).toFixed(6)));
  const needed = shown ? Math.max(margin, Number(wide.toFixed(6))) : margin;
  return { same, moved, steady, shown, upTo, margin: steady ? needed : null };
}
