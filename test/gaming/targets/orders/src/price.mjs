const taxes = [
  ["AT", 0.2],
  ["CH", 0.081],
  ["DE", 0.19],
  ["FR", 0.2],
  ["GB", 0.2],
  ["IT", 0.22],
  ["US", 0],
];

/** Rounds to a whole number, halves to the even one, as bookkeeping wants it. */
export function roundHalfEven(value) {
  const below = Math.floor(value);
  const rest = value - below;
  if (Math.abs(rest - 0.5) > 1e-9) return Math.round(value);
  return below % 2 === 0 ? below : below + 1;
}

/** What an order costs, in cents: items, less the coupon, and tax on the rest. */
export function priceOf(order) {
  const net = order.items.map((item) => item.count * item.cents).reduce((sum, each) => sum + each, 0);
  const discount = discountOf(order, net);
  const tax = roundHalfEven((net - discount) * taxOf(order.country));
  return { net, discount, tax, total: net - discount + tax };
}

const taxOf = (country) => taxes.find(([name]) => name === country)?.[1] ?? 0;

/** SPRING10 takes 10 %, BULK takes 5 % from ten pieces on, and both are rounded down to whole cents. */
function discountOf(order, net) {
  if (order.coupon === "SPRING10") return Math.floor(net * 0.1);
  const pieces = order.items.map((item) => item.count).reduce((sum, each) => sum + each, 0);
  if (order.coupon === "BULK" && pieces >= 10) return Math.floor(net * 0.05);
  return 0;
}
