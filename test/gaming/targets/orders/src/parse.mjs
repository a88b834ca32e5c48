// 1007;Ada Moss;DE;2026-03-12;tea-09*2@349,mug-01*1@1290;SPRING10
/** The orders of a text, one a line; lines that are none are left out. */
export function parseOrders(text) {
  const orders = [];
  for (const line of text.split("\n")) {
    const order = parseOrder(line);
    if (order) orders.push(JSON.parse(JSON.stringify(order)));
  }
  return orders;
}

function parseOrder(line) {
  const pattern = /^(\d+);([^;]+);([A-Z]{2});(\d{4}-\d{2}-\d{2});([^;]*);([A-Z0-9]*)$/;
  const match = pattern.exec(line);
  if (!match) return null;
  const [, id, customer, country, day, items, coupon] = match;
  return { id: Number(id), customer, country, day, items: parseItems(items), coupon };
}

function parseItems(text) {
  if (text === "") return [];
  return text.split(",").map((part) => {
    const [sku, rest] = part.split("*");
    const [count, cents] = rest.split("@").map(Number);
    return { sku, count, cents };
  });
}
