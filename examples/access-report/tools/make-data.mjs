// Writes data/access.log: one day of a small shop's traffic, the same bytes each time.
import { mkdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const lines = 8_000;
const clients = 900;
const dayMs = 86_400_000;
const startMs = Date.UTC(2026, 2, 12);

/** A seeded generator of numbers in [0, 1) (mulberry32). */
function seeded(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const random = seeded(20260312);
const below = (limit) => Math.floor(random() * limit);
const hex = (length) => Array.from({ length }, () => below(16).toString(16)).join("");
const uuid = () => [8, 4, 4, 4, 12].map(hex).join("-");

// [weight, method, path, typical milliseconds, share of 5xx]
const routes = [
  [18, "GET", () => "/", 12, 0.001],
  [16, "GET", () => `/products/${below(4_000)}`, 34, 0.004],
  [11, "GET", () => `/search?q=${hex(6)}&page=${below(9)}`, 95, 0.008],
  [9, "GET", () => `/api/v1/items/${below(9_000)}`, 21, 0.003],
  [8, "GET", () => `/api/v1/items/${below(9_000)}/reviews`, 40, 0.004],
  [7, "GET", () => "/static/app.js", 3, 0],
  [6, "GET", () => "/static/site.css", 2, 0],
  [5, "GET", () => `/categories/${below(60)}`, 48, 0.004],
  [4, "POST", () => "/api/v1/cart", 62, 0.011],
  [4, "GET", () => "/api/v1/cart", 18, 0.003],
  [3, "GET", () => `/orders/${uuid()}`, 55, 0.006],
  [3, "POST", () => "/login", 180, 0.009],
  [2, "POST", () => "/api/v1/orders", 240, 0.02],
  [2, "GET", () => "/account", 44, 0.005],
  [1, "DELETE", () => `/api/v1/cart/${below(50_000)}`, 30, 0.004],
  [1, "HEAD", () => "/health", 1, 0],
];
const weightSum = routes.reduce((sum, [weight]) => sum + weight, 0);

const agents = [
  "Mozilla/5.0 (iPhone; CPU iPhone OS 18_3 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.3 Mobile/15E148 Safari/604.1",
  "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.3 Safari/605.1.15",
  "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/134.0.0.0 Safari/537.36",
  "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/134.0.0.0 Mobile Safari/537.36",
  "Mozilla/5.0 (compatible; PriceBot/2.1; +https://prices.example/bot.html)",
  'Partner \\"feed\\" reader/2.0',
];
const referers = [
  "-",
  "-",
  "https://shop.example/?utm_source=newsletter&utm_medium=mail&utm_campaign=spring-2026",
  "https://search.example/?q=shoes&utm_source=newsletter&utm_campaign=spring-2026",
  "https://shop.example/categories/14?sort=price&order=asc&utm_source=newsletter&utm_campaign=spring-2026",
];
const malformed = [
  "",
  '203.0.113.9 - - [12/Mar/2026:04:11:09 +0000] "GET /tru',
  '192.0.2.4 - - [-] "-" 400 0 "-" "-" 0.000',
];

function pickRoute() {
  let left = random() * weightSum;
  for (const route of routes) {
    left -= route[0];
    if (left < 0) return route;
  }
  return routes[0];
}

const addresses = Array.from({ length: clients }, (_, at) =>
  at % 9 === 4
    ? `2001:db8:${hex(4)}:${hex(4)}::${1 + below(4_000)}`
    : `10.${below(256)}.${below(256)}.${below(256)}`,
);

/** Few clients make most of the requests, as they do in life. */
const pickClient = () => addresses[Math.floor(random() * random() * clients)];

const two = (value) => String(value).padStart(2, "0");
const logTime = (atMs) => {
  const at = new Date(atMs);
  return `12/Mar/2026:${two(at.getUTCHours())}:${two(at.getUTCMinutes())}:${two(at.getUTCSeconds())} +0000`;
};

/** Mostly near the typical time, now and then many times it. */
function durationOf(typicalMs) {
  const spread = 0.5 + random() + random() * random();
  const tail = random() < 0.02 ? 3 + 20 * random() * random() : 1;
  return typicalMs * spread * tail;
}

const out = [];
for (let at = 0; at < lines; at += 1) {
  if (at % 997 === 500) out.push(malformed[below(malformed.length)]);
  const [, method, pathOf, typicalMs, failing] = pickRoute();
  const share = at / lines;
  const atMs = startMs + Math.floor((share + 0.35 * share * (1 - share) * (1 - 2 * share)) * (dayMs - 1_000));
  const status = random() < failing ? 500 + below(4) : random() < 0.03 ? 404 : 200;
  const seconds = (durationOf(typicalMs) / 1000).toFixed(3);
  const referer = referers[below(referers.length)];
  out.push(
    `${pickClient()} - - [${logTime(atMs)}] "${method} ${pathOf()} HTTP/1.1" ${status} ${below(40_000)} ` +
      `"${referer}" "${agents[below(agents.length)]}" ${seconds}`,
  );
}

mkdirSync(fileURLToPath(new URL("../data/", import.meta.url)), { recursive: true });
writeFileSync(new URL("../data/access.log", import.meta.url), `${out.join("\n")}\n`);
