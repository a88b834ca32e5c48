// One observation: the orders that QUESTBUS_SEED draws are settled once in a fresh process. The digest says what came out.
import { createHash } from "node:crypto";
import { makeOrders } from "./make-orders.mjs";
import { render, settle } from "./src/index.mjs";

const text = makeOrders(process.env.QUESTBUS_SEED ?? "orders", 600);
const before = process.cpuUsage();
const report = render(settle(text));
const { user, system } = process.cpuUsage(before);
if (!report.startsWith("ORDERS 600\n")) throw new Error("the report is not a report");
console.log(`METRIC cpu_ms=${((user + system) / 1000).toFixed(3)}`);
console.log(`DIGEST ${createHash("sha256").update(report).digest("hex")}`);
