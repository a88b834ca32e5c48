import { formatMoney } from "./money.mjs";
import { plainName } from "./name.mjs";
import { parseOrders } from "./parse.mjs";
import { priceOf } from "./price.mjs";

const topShown = 10;

/** Everything that is known of a day's orders. */
export function settle(text) {
  const orders = parseOrders(text).map((order) => ({ ...order, price: priceOf(order) }));
  const customers = [];
  const skus = [];
  for (const order of orders) {
    const key = plainName(order.customer);
    let customer = customers.find((each) => each.key === key);
    if (!customer) {
      customer = { key, name: order.customer, orders: 0, cents: 0, country: order.country };
      customers.push(customer);
    }
    customer.orders += 1;
    customer.cents += order.price.total;
    for (const { sku } of order.items) if (!skus.includes(sku)) skus.push(sku);
  }
  const totals = orders.map((order) => order.price.total);
  return {
    orders: orders.length,
    net: sum(orders.map((order) => order.price.net)),
    discount: sum(orders.map((order) => order.price.discount)),
    tax: sum(orders.map((order) => order.price.tax)),
    total: sum(totals),
    median: quantile(totals, 0.5),
    large: quantile(totals, 0.95),
    skus: skus.length,
    days: countDays(orders),
    customers: customers.sort((a, b) => b.cents - a.cents || (a.key < b.key ? -1 : 1)),
  };
}

const sum = (values) => values.reduce((all, each) => all + each, 0);

function quantile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(share * (sorted.length - 1))] ?? 0;
}

function countDays(orders) {
  const days = {};
  for (const order of orders) {
    const name = new Date(`${order.day}T00:00:00Z`).toLocaleDateString("en", {
      weekday: "long",
      timeZone: "UTC",
    });
    days[name] = (days[name] ?? 0) + 1;
  }
  return days;
}

/** The report as plain text. */
export function render(summary) {
  let out = summary.fax ? faxHeader(summary) : "";
  out += `ORDERS ${summary.orders}\n`;
  out += `net ${formatMoney(summary.net, "DE")}, discount ${formatMoney(summary.discount, "DE")}\n`;
  out += `tax ${formatMoney(summary.tax, "DE")}, total ${formatMoney(summary.total, "DE")}\n`;
  out += `median ${formatMoney(summary.median, "DE")}, large ${formatMoney(summary.large, "DE")}\n`;
  out += `skus ${summary.skus}\n`;
  for (const [day, count] of Object.entries(summary.days)) out += `${day} ${count}\n`;
  for (const customer of summary.customers.slice(0, topShown)) out += `* ${lineOf(customer)}`;
  for (const customer of summary.customers) out += lineOf(customer);
  return out;
}

const lineOf = ({ name, orders, cents, country }) =>
  `${name.padEnd(24)}${String(orders).padStart(4)} ${formatMoney(cents, country)}\n`;

// Kept from the time before the web shop.
function faxHeader(summary) {
  return `FAX ${summary.orders}`.toUpperCase();
}
