import assert from "node:assert/strict";
import test from "node:test";
import { linesOf, parseLine, parseTime } from "../src/parse.mjs";

const line = (changes = {}) => {
  const part = {
    client: "203.0.113.7",
    user: "-",
    time: "12/Mar/2026:06:25:24 +0000",
    request: "GET /products/7?ref=mail HTTP/1.1",
    status: "200",
    bytes: "5321",
    referer: "-",
    agent: "curl/8.5.0",
    seconds: "0.043",
    ...changes,
  };
  return (
    `${part.client} - ${part.user} [${part.time}] "${part.request}" ${part.status} ${part.bytes} ` +
    `"${part.referer}" "${part.agent}" ${part.seconds}`
  );
};

test("a line becomes a request", () => {
  assert.deepEqual(parseLine(line()), {
    client: "203.0.113.7",
    user: null,
    time: new Date("2026-03-12T06:25:24Z"),
    method: "GET",
    path: "/products/7?ref=mail",
    status: 200,
    bytes: 5321,
    referer: "-",
    agent: "curl/8.5.0",
    durationMs: 43,
  });
});

test("addresses of version 6, named users and answers without a body are read", () => {
  const request = parseLine(line({ client: "2001:db8::1f", user: "ada", bytes: "-", status: "304" }));
  assert.equal(request.client, "2001:db8::1f");
  assert.equal(request.user, "ada");
  assert.equal(request.bytes, 0);
  assert.equal(request.status, 304);
});

test("escaped quotes and brackets inside quoted fields belong to the field", () => {
  const request = parseLine(
    line({ agent: 'Partner \\"feed\\" [v2] 200 17', referer: "https://a.example/?q=[x]" }),
  );
  assert.equal(request.agent, 'Partner \\"feed\\" [v2] 200 17');
  assert.equal(request.referer, "https://a.example/?q=[x]");
  assert.equal(request.durationMs, 43);
});

test("an agent of no characters is an empty text", () => {
  assert.equal(parseLine(line({ agent: "" })).agent, "");
});

for (const [what, text] of [
  ["nothing", ""],
  ["a line cut short", '203.0.113.9 - - [12/Mar/2026:04:11:09 +0000] "GET /tru'],
  ["no time", line({ time: "-" })],
  ["a month that is none", line({ time: "12/Foo/2026:06:25:24 +0000" })],
  ["a request that is not HTTP", line({ request: "\\x16\\x03\\x01" })],
  ["a status of two digits", line({ status: "20" })],
  ["a duration in words", line({ seconds: "fast" })],
  ["text after the end", `${line()} x`],
]) {
  test(`not a request: ${what}`, () => assert.equal(parseLine(text), null));
}

test("a time counts in its own zone", () => {
  assert.deepEqual(parseTime("01/Jan/2026:00:30:00 +0130"), new Date("2025-12-31T23:00:00Z"));
  assert.deepEqual(parseTime("31/Dec/2025:22:15:00 -0330"), new Date("2026-01-01T01:45:00Z"));
});

test("lines end with LF or CRLF, and the last needs no end", () => {
  assert.deepEqual([...linesOf("a\nb\r\n\nc")], ["a", "b", "", "c"]);
  assert.deepEqual([...linesOf("a\n")], ["a"]);
  assert.deepEqual([...linesOf("")], []);
});
