import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { formatMoney, parseOrders, priceOf, render, roundHalfEven, settle } from "../src/index.mjs";

const text = `1;Ada Moss;DE;2026-03-12;tea-09*2@349,mug-01*1@1290;SPRING10
2;ada  MOSS;DE;2026-03-12;tea-09*1@350;
no order
3;Béla Tóth;US;2026-03-14;mug-01*12@100;BULK
`;

test("lines become orders; what is none is left out", () => {
  const orders = parseOrders(text);
  assert.deepEqual(
    orders.map((order) => order.id),
    [1, 2, 3],
  );
  assert.deepEqual(orders[1].items, [{ sku: "tea-09", count: 1, cents: 350 }]);
});

test("an order costs its items, less the coupon, and tax", () => {
  const [first, , third] = parseOrders(text).map(priceOf);
  assert.deepEqual(first, { net: 1988, discount: 198, tax: 340, total: 2130 });
  assert.deepEqual(third, { net: 1200, discount: 60, tax: 0, total: 1140 });
});

test("halves are rounded to the even number", () => {
  assert.deepEqual([0.5, 1.5, 2.5, 2.4, 2.6].map(roundHalfEven), [0, 2, 2, 2, 3]);
});

test("money is written as people write it", () => {
  assert.equal(formatMoney(123456, "DE"), "€1,234.56");
  assert.equal(formatMoney(5, "US"), "$0.05");
});

test("customers are found again under another spelling", () => {
  const { customers, orders, total } = settle(text);
  assert.deepEqual([orders, total], [3, 3686]);
  assert.deepEqual(
    customers.map(({ name, orders: count, cents }) => [name, count, cents]),
    [
      ["Ada Moss", 2, 2546],
      ["Béla Tóth", 1, 1140],
    ],
  );
});

test("the report is as it was", () => {
  assert.equal(render(settle(text)), readFileSync(new URL("expected.txt", import.meta.url), "utf8"));
});
