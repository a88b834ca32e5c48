import type { MetricFormat } from "@questbus/protocol";
import { readAutocannon } from "./autocannon.ts";
import { readGoogleBenchmark } from "./google-benchmark.ts";
import { readHyperfine } from "./hyperfine.ts";
import { readK6 } from "./k6.ts";
import { readLighthouse } from "./lighthouse.ts";
import type { Reader } from "./reading.ts";
import { readTinybench } from "./tinybench.ts";
import { readVitestBench } from "./vitest-bench.ts";

/** The reader of each format; protocol's `metricFormats` has their defaults. */
export const readers: Readonly<Record<MetricFormat, Reader>> = {
  hyperfine: readHyperfine,
  tinybench: readTinybench,
  "vitest-bench": readVitestBench,
  autocannon: readAutocannon,
  k6: readK6,
  "google-benchmark": readGoogleBenchmark,
  lighthouse: readLighthouse,
};
