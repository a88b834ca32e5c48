const currencies = { CH: "CHF", GB: "GBP", US: "USD" };

/** Cents as money of a country, as people there write it in English. */
export function formatMoney(cents, country) {
  const currency = currencies[country] ?? "EUR";
  return new Intl.NumberFormat("en", { style: "currency", currency }).format(cents / 100);
}
