import { z } from "zod";
import { documentOf, figureOf, list, type Reading, Refusal } from "./reading.ts";

const outline = z.looseObject({
  lighthouseVersion: z.string(),
  runtimeError: z.looseObject({ code: z.string(), message: z.string().optional() }).nullish(),
  audits: z.record(
    z.string(),
    z.looseObject({
      scoreDisplayMode: z.string().optional(),
      errorMessage: z.string().optional(),
      numericValue: z.unknown().optional(),
      numericUnit: z.string().optional(),
    }),
  ),
  categories: z.record(z.string(), z.looseObject({ score: z.unknown().optional() })).optional(),
});

const how = "run lighthouse with --output=json, and its output on stdout or in measure.output";

/** Lighthouse's result: the numeric value of an audit, or the score of `categories/NAME` from 0 to 1. */
export function readLighthouse(text: string, selector: string): Reading {
  const { runtimeError, audits, categories = {} } = documentOf(text, outline, "Lighthouse", how);
  if (runtimeError && runtimeError.code !== "NO_ERROR")
    throw new Refusal(
      "BENCH_FAILED",
      `Lighthouse reports ${runtimeError.code}: ${runtimeError.message ?? ""}`.slice(0, 500),
      "see whether the page loads by itself",
    );
  const category = /^categories\/(.+)$/.exec(selector)?.[1];
  if (category !== undefined) {
    if (!Object.hasOwn(categories, category)) throw missing(selector, Object.keys(categories));
    return { value: figureOf(categories[category]?.score, `the score of ${category}`), unit: "" };
  }
  const audit = Object.hasOwn(audits, selector) ? audits[selector] : undefined;
  if (!audit) throw missing(selector, Object.keys(audits));
  if (audit.scoreDisplayMode === "error" || audit.errorMessage !== undefined)
    throw new Refusal(
      "BENCH_FAILED",
      `Lighthouse could not measure ${selector}: ${audit.errorMessage ?? ""}`.slice(0, 500),
      "see whether the page loads by itself",
    );
  const unit = audit.numericUnit === "millisecond" ? "ms" : audit.numericUnit === "byte" ? "B" : "";
  return { value: figureOf(audit.numericValue, `numericValue of ${selector}`), unit };
}

const missing = (selector: string, known: readonly string[]): Refusal =>
  new Refusal(
    "METRIC_MISSING",
    `Lighthouse gives no ${selector}; it has ${list(known)}`,
    "write an audit's id after the colon, or categories/NAME",
  );
