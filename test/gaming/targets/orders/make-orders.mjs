const first = [
  "Ada",
  "Béla",
  "Chloé",
  "Dag",
  "Elif",
  "François",
  "Greta",
  "Håkon",
  "Inés",
  "Jörg",
  "Kai",
  "Zoë",
];
const last = [
  "Moss",
  "Nový",
  "O'Hara",
  "Pérez",
  "Quist",
  "Rossi",
  "Sørensen",
  "Tóth",
  "Ücker",
  "Vogel",
  "Weiß",
  "Yıldız",
];
const countries = ["AT", "CH", "DE", "FR", "GB", "IT", "US"];
const coupons = ["", "", "", "SPRING10", "BULK"];

/** A text of orders, drawn from a seed: the same seed gives the same text. */
export function makeOrders(seed, count) {
  let state = 2166136261;
  for (const char of String(seed)) state = Math.imul(state ^ char.codePointAt(0), 16777619) >>> 0;
  const draw = (below) => {
    state = (Math.imul(state ^ (state >>> 15), 2246822519) + 0x9e3779b9) >>> 0;
    return ((state ^ (state >>> 13)) >>> 0) % below;
  };
  const of = (list) => list[draw(list.length)];
  const lines = [];
  for (let at = 0; at < count; at += 1) {
    const items = Array.from(
      { length: 1 + draw(6) },
      () => `sku-${String(draw(400)).padStart(3, "0")}*${1 + draw(9)}@${99 + draw(9_900)}`,
    );
    const day = `2026-03-${String(1 + draw(28)).padStart(2, "0")}`;
    lines.push(
      `${1000 + at};${of(first)} ${of(last)} ${of(last)};${of(countries)};${day};${items.join(",")};${of(coupons)}`,
    );
  }
  return `${lines.join("\n")}\n`;
}
