import { z } from "zod";
import { documentOf, figureOf, type Reading, Refusal } from "./reading.ts";
import { refuseThinPercentile } from "./statistic.ts";

const count = z.number().min(0);
const figures = z.record(z.string(), z.unknown());
const outline = z.looseObject({
  errors: count,
  timeouts: count.default(0),
  mismatches: count.default(0),
  non2xx: count,
  latency: figures,
  requests: figures,
  throughput: figures,
});

const how = "run autocannon with --json, and its output on stdout or in measure.output";
const units: Readonly<Record<string, string>> = { latency: "ms", requests: "1/s", throughput: "B/s" };

/**
 * autocannon's `--json`. A load of which more than `errorsShareMax` failed is no measurement: an error is often faster
 * than an answer.
 */
export function readAutocannon(text: string, selector: string, errorsShareMax = 0): Reading {
  const document = documentOf(text, outline, "autocannon", how);
  refuseErrors(document, errorsShareMax);
  const [, group, which] = /^(latency|requests|throughput)\.(\w+)$/.exec(selector) ?? [];
  if (group === undefined || which === undefined)
    throw new Refusal(
      "METRIC_MISSING",
      `autocannon has no figure ${selector}`,
      "choose one such as latency.p99, latency.mean, requests.mean or throughput.mean",
    );
  const value = (document[group as "latency"] as Record<string, unknown>)[which];
  if (group === "latency") refuseThinPercentile(which, document.latency.totalCount, "the latencies");
  if (value === 0 && group === "latency")
    throw new Refusal(
      "METRIC_NOT_A_NUMBER",
      `${selector} is 0: autocannon's own output counts whole milliseconds`,
      "measure with measure.http, which counts microseconds, or ask for requests.mean with better: higher",
    );
  const unit = which === "total" || which === "sent" ? "" : (units[group] as string);
  return { value: figureOf(value, selector), unit };
}

function refuseErrors(document: z.infer<typeof outline>, shareMax: number): void {
  const { errors, timeouts, mismatches, non2xx, requests } = document;
  const answered = requests.total;
  if (typeof answered !== "number" || !(answered > 0))
    throw new Refusal(
      "BENCH_FAILED",
      `the server answered no request (${errors} errors)`,
      "see whether it runs, and at that URL",
    );
  const share = (errors + mismatches + non2xx) / (answered + errors);
  if (share <= shareMax) return;
  const seen = `${errors - timeouts} errors, ${timeouts} timeouts, ${non2xx} answers other than 2xx, ${mismatches} with another body`;
  throw new Refusal(
    "BENCH_FAILED",
    `of ${answered} requests too many failed: ${seen}`,
    "see why they fail; with measure.http, errorsMax allows a share",
  );
}
