import { Aggregate } from "./aggregate.mjs";
import { linesOf } from "./parse.mjs";

const barWidth = 40;

/** The summary of a whole log. */
export function summarise(text) {
  const aggregate = new Aggregate();
  for (const line of linesOf(text)) aggregate.addLine(line);
  return aggregate.summary();
}

/** A summary as plain text, for a terminal or a mail. */
export function render(summary) {
  let out = "";
  out += "ACCESS REPORT\n\n";
  out += `requests    ${summary.requests}\n`;
  out += `malformed   ${summary.malformed}\n`;
  out += `errors      ${percent(summary.errorRate)}\n`;
  out += `latency     ${latency(summary.latency)}\n`;
  out += `clients     ${summary.clients} in ${summary.sessions} sessions\n`;
  out += `sent        ${megabytes(summary.bytes)}\n`;
  out += `\nROUTES\n${routeLines(summary.routes)}`;
  out += `\nTOP CLIENTS\n${clientLines(summary.topClients)}`;
  out += `\nSLOWEST\n${slowestLines(summary.slowest)}`;
  out += `\nHOURS (UTC)\n${hourLines(summary.hours)}`;
  return out;
}

function routeLines(routes) {
  let out = "";
  for (const row of routes) {
    out += `${String(row.requests).padStart(8)}  ${row.route.padEnd(34)}`;
    out += `${String(row.clients).padStart(6)} clients ${percent(row.errorRate).padStart(7)} errors  `;
    out += `${latency(row.latency)}\n`;
  }
  return out;
}

function clientLines(clients) {
  let out = "";
  for (const row of clients) {
    out += `${String(row.requests).padStart(8)}  ${row.client.padEnd(34)}`;
    out += `${String(row.sessions).padStart(6)} sessions  ${megabytes(row.bytes)}\n`;
  }
  return out;
}

function slowestLines(slowest) {
  let out = "";
  for (const row of slowest) {
    out += `${String(row.durationMs).padStart(8)} ms  ${row.at}  ${row.status}  ${row.method} ${row.path}\n`;
  }
  return out;
}

function hourLines(hours) {
  let out = "";
  for (const row of hours) {
    const most = Math.max(...hours.map((each) => each.requests));
    const bar = "#".repeat(Math.round((row.requests / most) * barWidth));
    out += `${row.hour}  ${String(row.requests).padStart(7)}  ${String(row.errors).padStart(5)} errors  ${bar}\n`;
  }
  return out;
}

const percent = (share) => `${(share * 100).toFixed(2)} %`;
const megabytes = (bytes) => `${(bytes / 1_000_000).toFixed(1)} MB`;
const milliseconds = (value) => (value === null ? "-" : value.toFixed(1));
const latency = ({ p50, p95, p99 }) =>
  `p50 ${milliseconds(p50)}  p95 ${milliseconds(p95)}  p99 ${milliseconds(p99)} ms`;
