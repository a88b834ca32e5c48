// One observation: in a fresh process, the report of data/access.log is made once. `cpu_ms` is the processor time that
// took, which other programs on the machine hardly change; `report_ms` is what somebody who waits for it sees.
import { readFileSync } from "node:fs";
import { performance } from "node:perf_hooks";
import { render, summarise } from "./src/report.mjs";

const file = new URL("data/access.log", import.meta.url);

const startMs = performance.now();
const before = process.cpuUsage();
const report = render(summarise(readFileSync(file, "utf8")));
const { user, system } = process.cpuUsage(before);
const tookMs = performance.now() - startMs;

if (!report.startsWith("ACCESS REPORT")) throw new Error("the report is not a report");
console.log(`METRIC cpu_ms=${((user + system) / 1000).toFixed(2)}`);
console.log(`METRIC report_ms=${tookMs.toFixed(2)}`);
