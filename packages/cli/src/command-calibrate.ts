import { randomUUID } from "node:crypto";
import { join, resolve } from "node:path";
import { type Calibration, openCalibration, underMeasurementLease } from "@questbus/agent";
import { admissionPlan, type Bias, effectPhrase, estimateBias } from "@questbus/core";
import {
  exitCode,
  limit,
  normaliseQuest,
  type Pair,
  percent,
  QuestbusError,
  type QuestSpec,
} from "@questbus/protocol";
import { openProcessGroups, removeWorkspace, sweepLeftovers } from "@questbus/workbench";
import { openSandbox, underSandbox } from "@questbus/workbench/sandbox";
import type { Common } from "./command-run.ts";
import { note, paintError, printData, printJson } from "./output.ts";
import { placedError, readSubmission } from "./quest-file.ts";
import { readSettings, sandboxPolicy } from "./setting.ts";
import { makeStateDir } from "./state-dir.ts";

type Series = { same: Pair[]; moved: Pair[] };

/** `questbus calibrate FILE`: the base against itself, in place and moved. Nothing of it is stored. */
export async function calibrate(file: string, pairs: number, common: Common): Promise<number> {
  const { command, placed } = await readSubmission(file, { acceptDetectable: false });
  const spec = normaliseQuest(command.document, command.resolved);
  const { signal } = common;
  const seed = randomUUID();
  const state = makeStateDir(common.state);
  await sweepLeftovers(state);
  const dir = join(state, `calibrate.${process.pid}-${seed}`);
  const policy = sandboxPolicy(common.sandbox, process.env, await readSettings(common.state));
  const sandbox = openSandbox({ policy, hidden: [resolve(common.state)] });
  const groups = openProcessGroups(join(dir, "groups"));
  const guard = groups.guard();
  const say = async (text: string): Promise<void> => note(paintError("dim", text));
  try {
    const series = await underMeasurementLease(
      "a calibration",
      { signal, note: say, step: () => {} },
      async () => {
        await say(`measuring ${spec.target.repo}: twice ${pairs} pairs, in two places`);
        const inside = { sandbox, network: spec.allow.network ?? [] };
        return await underSandbox(inside, async () => {
          const { commit } = command.base;
          const calibration = await openCalibration({ dir, spec, commit, signal, groups });
          try {
            return await measure(calibration, seed, pairs, signal);
          } finally {
            await calibration.close();
          }
        });
      },
    );
    report(spec, series, seed, common);
    return exitCode.ok;
  } catch (error) {
    if (signal.aborted) return exitCode.interrupted;
    throw error instanceof QuestbusError ? placedError(error, placed) : error;
  } finally {
    await guard.end();
    await removeWorkspace({ dir });
  }
}

/** The two series by turns, so that they see the same machine. */
async function measure(
  calibration: Calibration,
  seed: string,
  pairs: number,
  signal: AbortSignal,
): Promise<Series> {
  const series: Series = { same: [], moved: [] };
  for (let index = 0; index < pairs; index++) {
    for (const kind of ["same", "moved"] as const) {
      signal.throwIfAborted();
      series[kind].push(await calibration.pair(kind, `${seed}:${kind}`, index));
    }
  }
  return series;
}

function report(spec: QuestSpec, series: Series, seed: string, { json }: Common): void {
  const { metric } = spec.measure;
  const bias = estimateBias(series, metric.better, spec.goal.margin);
  const values = series.same.flatMap(({ base }, at) => [
    base.value,
    series.moved[at]?.base.value ?? base.value,
  ]);
  const { cv, detectable } = admissionPlan(spec, values);
  if (!bias || cv === null) {
    throw new QuestbusError({
      code: "METRIC_NOT_A_NUMBER",
      message: `the metric ${metric.name} was not above zero in every run, so that no gain of it can be told`,
      where: "measure.metric",
      next: "measure something that is always above zero",
    });
  }
  const margin = { quest: spec.goal.margin, needed: bias.margin };
  if (json) {
    const { same, moved, steady, shown, upTo } = bias;
    printJson({
      noise: cv,
      detectable,
      same,
      moved,
      steady,
      biasShown: shown,
      biasUpTo: upTo,
      margin,
      pairs: series.same.length,
      seed,
    });
    return;
  }
  const line = (name: string, text: string): void => printData(`${name.padEnd(26)} ${text}`);
  line("noise of one run", percent(cv));
  line(
    `${spec.budget.pairs} pairs can show`,
    detectable === null ? "no gain" : `a gain of ${percent(detectable)}`,
  );
  line("A/A, the same place", effectPhrase(bias.same, metric));
  line("A/A′, rebuilt and moved", effectPhrase(bias.moved, metric));
  line("margin", marginText(bias, spec, series.same.length));
}

function marginText({ shown, upTo, margin }: Bias, { goal }: QuestSpec, pairs: number): string {
  if (margin === null) {
    return `nothing can be said of the bias: the same place twice differed, so the machine was not steady while it measured (or chance did it, 1 in 20). Calibrate again when it does nothing else, with more pairs: --pairs ${Math.min(limit.pairsMax, 2 * pairs)}`;
  }
  if (!shown) {
    const rest =
      upTo > goal.margin ? `; up to ${percent(upTo)} cannot be ruled out: more pairs would tell` : "";
    return `${percent(goal.margin)} may stay: no bias is shown${rest}`;
  }
  return margin > goal.margin
    ? `write margin: ${percent(margin).replace(" ", "")}, because place and build alone move this bench by up to ${percent(upTo)}`
    : `${percent(goal.margin)} may stay: the bias is below it`;
}
