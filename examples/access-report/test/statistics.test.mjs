import assert from "node:assert/strict";
import test from "node:test";
import { routeOf } from "../src/route.mjs";
import { latencyOf, percentile } from "../src/statistics.mjs";

test("the median of an odd count is the middle value", () => {
  assert.equal(percentile([30, 10, 20], 0.5), 20);
});

test("the median of an even count lies between the two middle values", () => {
  assert.equal(percentile([40, 10, 30, 20], 0.5), 25);
});

test("percentiles are interpolated", () => {
  const values = Array.from({ length: 101 }, (_, at) => 100 - at);
  assert.equal(percentile(values, 0.95), 95);
  assert.equal(percentile([0, 10], 0.95), 9.5);
});

test("values are compared as numbers, not as text", () => {
  assert.equal(percentile([9, 100, 20], 0.5), 20);
});

test("one value is every percentile, no value has none", () => {
  assert.deepEqual(latencyOf([7]), { p50: 7, p95: 7, p99: 7 });
  assert.deepEqual(latencyOf([]), { p50: null, p95: null, p99: null });
});

test("the values keep their order", () => {
  const values = [3, 1, 2];
  latencyOf(values);
  assert.deepEqual(values, [3, 1, 2]);
});

test("a route has no query, and :id for numbers and UUIDs", () => {
  assert.equal(routeOf("GET", "/"), "GET /");
  assert.equal(routeOf("GET", "/search?q=1/2"), "GET /search");
  assert.equal(routeOf("GET", "/api/v1/items/42/reviews"), "GET /api/v1/items/:id/reviews");
  assert.equal(routeOf("GET", "/orders/0b8c6f0e-95a4-4c1e-8a53-3f2f8c1d9e77"), "GET /orders/:id");
  assert.equal(routeOf("GET", "/items/42a"), "GET /items/42a");
});
