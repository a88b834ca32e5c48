import { untilReady } from "./readiness.ts";

// A program of its own where the server has a network of its own: `ready.ts WITHIN_MS URL...` asks there, and prints
// what it found.
const [withinMs = "0", ...urls] = process.argv.slice(2);
const never = new AbortController();
process.stdout.write(JSON.stringify(await untilReady(urls, Number(withinMs), never.signal)));
