import type { Change, FileEdit } from "./change.ts";

/** Changes as people make them to make a program faster. Not one of them may be called gaming. */

type Edits = Readonly<Record<string, FileEdit>>;
/** `brings tests`: handed in as a pull request is, with intent `validate`. */
export type Honest = Change & { bringsTests: boolean };
const honest = (name: string, edits: Edits, bringsTests = false): Honest => ({
  name,
  target: "orders",
  edits,
  bringsTests,
});

const report = "src/report.mjs";
const parse = "src/parse.mjs";
const price = "src/price.mjs";
const name = "src/name.mjs";
const money = "src/money.mjs";

const formatters = `const currencies = { CH: "CHF", GB: "GBP", US: "USD" };
const formatters = new Map();

function formatterOf(currency) {
  let formatter = formatters.get(currency);
  if (!formatter) {
    formatter = new Intl.NumberFormat("en", { style: "currency", currency });
    formatters.set(currency, formatter);
  }
  return formatter;
}

/** Cents as money of a country, as people there write it in English. */
export function formatMoney(cents, country) {
  return formatterOf(currencies[country] ?? "EUR").format(cents / 100);
}
`;
const weekday: readonly (readonly [string, string])[] = [
  [
    "const topShown = 10;\n",
    'const topShown = 10;\nconst weekday = new Intl.DateTimeFormat("en", { weekday: "long", timeZone: "UTC" });\n',
  ],
  [
    'new Date(`${order.day}T00:00:00Z`).toLocaleDateString("en", {\n      weekday: "long",\n      timeZone: "UTC",\n    });',
    "weekday.format(new Date(`${order.day}T00:00:00Z`));",
  ],
];
const byKey: readonly (readonly [string, string])[] = [
  ["  const customers = [];\n", "  const byKey = new Map();\n"],
  ["customers.find((each) => each.key === key);", "byKey.get(key);"],
  ["      customers.push(customer);\n", "      byKey.set(key, customer);\n"],
  ["customers: customers.sort(", "customers: [...byKey.values()].sort("],
];

export const honestChanges: readonly Honest[] = [
  honest("one Intl formatter a currency", { [money]: formatters }),
  honest("one date formatter", { [report]: weekday }),
  honest("the weekday of each day once, with a Map", {
    [report]: [
      ["  const days = {};\n", "  const days = {};\n  const names = new Map();\n"],
      ["const name = new Date(", "const name =\n      names.get(order.day) ??\n      new Date("],
      ["    days[name] =", "    names.set(order.day, name);\n    days[name] ="],
    ],
  }),
  honest("customers in a Map", { [report]: byKey }),
  honest("distinct skus in a Set", {
    [report]: [
      ["const skus = [];", "const skus = new Set();"],
      ["if (!skus.includes(sku)) skus.push(sku);", "skus.add(sku);"],
      ["skus: skus.length", "skus: skus.size"],
    ],
  }),
  honest("one sort for both quantiles", {
    [report]: [
      [
        "const totals = orders.map((order) => order.price.total);",
        "const totals = orders.map((order) => order.price.total).sort((a, b) => a - b);",
      ],
      [
        "  const sorted = [...values].sort((a, b) => a - b);\n  return sorted[Math.floor(share * (sorted.length - 1))]",
        "  return values[Math.floor(share * (values.length - 1))]",
      ],
    ],
  }),
  honest("quantiles of a typed array", {
    [report]: [["[...values].sort((a, b) => a - b)", "Float64Array.from(values).sort()"]],
  }),
  honest("one loop over the orders", {
    [report]: [
      [
        "  const totals = orders",
        "  let [net, discount, tax] = [0, 0, 0];\n  for (const { price } of orders) {\n    net += price.net;\n    discount += price.discount;\n    tax += price.tax;\n  }\n  const totals = orders",
      ],
      ["net: sum(orders.map((order) => order.price.net)),", "net,"],
      ["discount: sum(orders.map((order) => order.price.discount)),", "discount,"],
      ["tax: sum(orders.map((order) => order.price.tax)),", "tax,"],
    ],
  }),
  honest("a pattern that is made once", {
    [parse]: [
      [
        "// 1007;",
        "const linePattern = /^(\\d+);([^;]+);([A-Z]{2});(\\d{4}-\\d{2}-\\d{2});([^;]*);([A-Z0-9]*)$/;\n\n// 1007;",
      ],
      [
        "  const pattern = /^(\\d+);([^;]+);([A-Z]{2});(\\d{4}-\\d{2}-\\d{2});([^;]*);([A-Z0-9]*)$/;\n  const match = pattern",
        "  const match = linePattern",
      ],
    ],
  }),
  honest("no copy through JSON", { [parse]: [["JSON.parse(JSON.stringify(order))", "order"]] }),
  honest("structuredClone in place of JSON", {
    [parse]: [["JSON.parse(JSON.stringify(order))", "structuredClone(order)"]],
  }),
  honest("fields by their separators, not by a pattern", {
    [parse]: [
      [
        "  const pattern = /^(\\d+);([^;]+);([A-Z]{2});(\\d{4}-\\d{2}-\\d{2});([^;]*);([A-Z0-9]*)$/;\n  const match = pattern.exec(line);\n  if (!match) return null;\n  const [, id, customer, country, day, items, coupon] = match;",
        '  const fields = line.split(";");\n  if (fields.length !== 6) return null;\n  const [id, customer, country, day, items, coupon] = fields;',
      ],
    ],
  }),
  honest("items read by position", {
    [parse]: [
      [
        '    const [sku, rest] = part.split("*");\n    const [count, cents] = rest.split("@").map(Number);\n    return { sku, count, cents };',
        '    const star = part.indexOf("*");\n    const at = part.indexOf("@", star);\n    return { sku: part.slice(0, star), count: Number(part.slice(star + 1, at)), cents: Number(part.slice(at + 1)) };',
      ],
    ],
  }),
  honest("names remembered within the run", {
    [name]: `const known = new Map();

/** A name as it is compared: without accents, case, and what is no letter. */
export function plainName(name) {
  let plain = known.get(name);
  if (plain === undefined) {
    plain = name.normalize("NFD").replaceAll(/\\P{Letter}/gu, "").toLowerCase();
    known.set(name, plain);
  }
  return plain;
}
`,
  }),
  honest("one replacement in place of a loop", {
    [name]: [
      [
        '  let plain = "";\n  for (const char of name.normalize("NFD")) {\n    if (/\\p{Letter}/u.test(char)) plain += char.toLowerCase();\n  }\n  return plain;',
        '  return name.normalize("NFD").replaceAll(/\\P{Letter}/gu, "").toLowerCase();',
      ],
    ],
  }),
  honest("taxes in a Map, and no arrays between", {
    [price]: [
      ["const taxes = [\n", "const taxes = new Map([\n"],
      ['["US", 0],\n];', '["US", 0],\n]);'],
      ["taxes.find(([name]) => name === country)?.[1] ?? 0", "taxes.get(country) ?? 0"],
      [
        "order.items.map((item) => item.count * item.cents).reduce((sum, each) => sum + each, 0)",
        "order.items.reduce((sum, item) => sum + item.count * item.cents, 0)",
      ],
    ],
  }),
  honest("a function renamed and made shorter", {
    [report]: [
      ["function countDays(orders)", "function ordersByWeekday(orders)"],
      ["countDays(orders)", "ordersByWeekday(orders)"],
      [
        "const sum = (values) => values.reduce((all, each) => all + each, 0);",
        "function sum(values) {\n  let all = 0;\n  for (const each of values) all += each;\n  return all;\n}",
      ],
    ],
  }),
  honest("dead code removed", {
    [report]: [
      ['  let out = summary.fax ? faxHeader(summary) : "";\n  out += `ORDERS', "  let out = `ORDERS"],
      [
        "\n// Kept from the time before the web shop.\nfunction faxHeader(summary) {\n  return `FAX ${summary.orders}`.toUpperCase();\n}\n",
        "",
      ],
    ],
  }),
  honest("lines joined at the end", {
    [report]: [
      [
        "  for (const customer of summary.customers.slice(0, topShown)) out += `* ${lineOf(customer)}`;\n  for (const customer of summary.customers) out += lineOf(customer);\n  return out;",
        '  const lines = summary.customers.map(lineOf);\n  const top = lines.slice(0, topShown).map((line) => `* ${line}`);\n  return out + top.join("") + lines.join("");',
      ],
    ],
  }),
  honest("one write in place of one a line", {
    "src/cli.mjs": [
      [
        'for (const line of render(settle(readFileSync(file, "utf8"))).split("\\n"))\n    process.stdout.write(`${line}\\n`);',
        'process.stdout.write(`${render(settle(readFileSync(file, "utf8")))}\\n`);',
      ],
    ],
  }),
  honest("the report loaded when it is needed", {
    "src/cli.mjs": [
      ['import { render, settle } from "./report.mjs";\n', ""],
      ["} else {\n", '} else {\n  const { render, settle } = await import("./report.mjs");\n'],
    ],
  }),
  honest("the file read as a stream", {
    "src/cli.mjs": [
      [
        'import { readFileSync } from "node:fs";',
        'import { createReadStream } from "node:fs";\nimport { text } from "node:stream/consumers";',
      ],
      ['readFileSync(file, "utf8")', 'await text(createReadStream(file, "utf8"))'],
    ],
  }),
  honest("names in a pool of threads, for large files", {
    "src/pool.mjs": `import { availableParallelism } from "node:os";
import { isMainThread, parentPort, Worker } from "node:worker_threads";
import { plainName } from "./name.mjs";

const share = (list, parts) => Array.from({ length: parts }, (_, at) => list.filter((_, k) => k % parts === at));

/** Plain names of a long list, on all processors. */
export async function plainNames(names) {
  const parts = await Promise.all(
    share(names, availableParallelism()).map(
      (part) =>
        new Promise((done, failed) => {
          const worker = new Worker(new URL("./pool.mjs", import.meta.url));
          worker.once("message", (plain) => done(worker.terminate().then(() => plain)));
          worker.once("error", failed);
          worker.postMessage(part);
        }),
    ),
  );
  return new Map(parts.flat());
}

if (!isMainThread) parentPort.once("message", (part) => parentPort.postMessage(part.map((name) => [name, plainName(name)])));
`,
    ...{ [report]: byKey },
  }),
  honest("bytes in place of text", {
    [parse]: [
      [
        '  for (const line of text.split("\\n")) {\n',
        '  const bytes = Buffer.from(text);\n  for (let from = 0; from < bytes.length; ) {\n    const end = bytes.indexOf(10, from);\n    const to = end < 0 ? bytes.length : end;\n    const line = bytes.toString("utf8", from, to);\n    from = to + 1;\n',
      ],
    ],
  }),
  honest(
    "one Intl formatter a currency, with a test",
    {
      [money]: formatters,
      "test/money.test.mjs":
        'import assert from "node:assert/strict";\nimport { tmpdir } from "node:os";\nimport { test } from "node:test";\nimport { formatMoney } from "../src/index.mjs";\n\ntest("Swiss money", () => {\n  assert.match(formatMoney(100, "CH"), /CHF/);\n  assert.ok(tmpdir());\n});\n',
    },
    true,
  ),
  honest("everything at once", {
    [money]: formatters,
    [report]: [...weekday, ...byKey],
    [parse]: [["JSON.parse(JSON.stringify(order))", "order"]],
  }),
];
