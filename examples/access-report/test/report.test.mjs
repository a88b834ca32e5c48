import assert from "node:assert/strict";
import test from "node:test";
import { render, summarise } from "../src/report.mjs";

const line = (time, { client = "10.0.0.1", request = "GET /a", status = 200, ms = 10, bytes = 100 } = {}) =>
  `${client} - - [12/Mar/2026:${time} +0000] "${request} HTTP/1.1" ${status} ${bytes} "-" "-" ${(ms / 1000).toFixed(3)}`;

const logOf = (...lines) => `${lines.join("\n")}\n`;

test("an empty log has an empty report", () => {
  const summary = summarise("");
  assert.equal(summary.requests, 0);
  assert.equal(summary.errorRate, 0);
  assert.deepEqual(summary.latency, { p50: null, p95: null, p99: null });
  assert.deepEqual(summary.routes, []);
  assert.match(render(summary), /latency {5}p50 - {2}p95 - {2}p99 - ms/);
});

test("requests count for their route, and clients once a route", () => {
  const { routes, clients } = summarise(
    logOf(
      line("01:00:00", { request: "GET /items/1", ms: 10 }),
      line("01:00:01", { request: "GET /items/2?x=1", ms: 20, status: 500 }),
      line("01:00:02", { request: "GET /items/1", ms: 40, client: "10.0.0.2" }),
      line("01:00:03", { request: "POST /items" }),
    ),
  );
  assert.equal(clients, 2);
  assert.equal(routes.length, 2);
  assert.deepEqual(routes[0], {
    route: "GET /items/:id",
    requests: 3,
    clients: 2,
    errorRate: 1 / 3,
    latency: { p50: 20, p95: 38, p99: 39.6 },
  });
});

test("routes of equal size stand in the order of their names", () => {
  const { routes } = summarise(
    logOf(line("01:00:00", { request: "GET /b" }), line("01:00:01", { request: "GET /a" })),
  );
  assert.deepEqual(
    routes.map((row) => row.route),
    ["GET /a", "GET /b"],
  );
});

test("blank lines are nothing, other lines that are no requests are malformed", () => {
  const summary = summarise(`\n${line("01:00:00")}\n   \nwhat\n${line("01:00:01")}`);
  assert.equal(summary.requests, 2);
  assert.equal(summary.malformed, 1);
});

test("only an answer of 500 and above is an error", () => {
  const { errorRate } = summarise(
    logOf(...[200, 404, 499, 500].map((status, at) => line(`01:00:0${at}`, { status }))),
  );
  assert.equal(errorRate, 0.25);
});

test("a client's session ends after more than thirty minutes without a request", () => {
  const at = (...times) => summarise(logOf(...times.map((time) => line(time)))).sessions;
  assert.equal(at("01:00:00", "01:30:00"), 1);
  assert.equal(at("01:00:00", "01:30:01"), 2);
  assert.equal(at("01:30:00", "01:00:00", "02:00:00"), 1);
});

test("hours are those of UTC, in order", () => {
  const late = line("00:30:00").replace("+0000", "+0200");
  const { hours } = summarise(logOf(line("01:59:59", { status: 503 }), line("01:00:00"), late));
  assert.deepEqual(hours, [
    { hour: "2026-03-11T22:00Z", requests: 1, errors: 0 },
    { hour: "2026-03-12T01:00Z", requests: 2, errors: 1 },
  ]);
});

test("the ten slowest requests are shown, the earlier line first where two are equal", () => {
  const lines = Array.from({ length: 14 }, (_, at) =>
    line(`01:00:${String(at).padStart(2, "0")}`, { ms: at < 2 ? 900 : at, request: `GET /r${at}` }),
  );
  const { slowest } = summarise(logOf(...lines));
  assert.deepEqual(
    slowest.map((row) => row.path),
    ["/r0", "/r1", "/r13", "/r12", "/r11", "/r10", "/r9", "/r8", "/r7", "/r6"],
  );
  assert.equal(slowest[0].at, "2026-03-12T01:00:00.000Z");
});

test("at equal speed, the requests that came first stay among the slowest", () => {
  const lines = Array.from({ length: 12 }, (_, at) =>
    line(`01:00:${String(at).padStart(2, "0")}`, { request: `GET /r${at}` }),
  );
  assert.deepEqual(
    summarise(logOf(...lines)).slowest.map((row) => row.path),
    ["/r0", "/r1", "/r2", "/r3", "/r4", "/r5", "/r6", "/r7", "/r8", "/r9"],
  );
});

test("the ten clients with most requests are shown", () => {
  const lines = Array.from({ length: 12 }, (_, client) =>
    Array.from({ length: client + 1 }, () => line("01:00:00", { client: `10.0.0.${client}`, bytes: 5 })),
  ).flat();
  const { topClients } = summarise(logOf(...lines));
  assert.equal(topClients.length, 10);
  assert.deepEqual(topClients[0], { client: "10.0.0.11", requests: 12, bytes: 60, sessions: 1 });
});

test("the text has a row for each thing and bars against the fullest hour", () => {
  const text = render(
    summarise(logOf(line("01:00:00"), line("01:10:00"), line("02:00:00", { status: 500, ms: 1200 }))),
  );
  assert.match(text, /^ACCESS REPORT\n\nrequests {4}3\n/);
  assert.match(text, /errors {6}33\.33 %\n/);
  assert.match(text, /^ {4}1200 ms {2}2026-03-12T02:00:00\.000Z {2}500 {2}GET \/a$/m);
  assert.match(text, /^2026-03-12T01:00Z {8}2 {6}0 errors {2}#{40}$/m);
  assert.match(text, /^2026-03-12T02:00Z {8}1 {6}1 errors {2}#{20}$/m);
});
