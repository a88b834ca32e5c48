export { formatMoney } from "./money.mjs";
export { plainName } from "./name.mjs";
export { parseOrders } from "./parse.mjs";
export { priceOf, roundHalfEven } from "./price.mjs";
export { render, settle } from "./report.mjs";
