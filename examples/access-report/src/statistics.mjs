/**
 * The value below which the share `p` of the values lies, interpolated between the two nearest (type 7, what
 * spreadsheets and NumPy compute). The values keep their order. No values have no percentile: null.
 */
export function percentile(values, p) {
  if (values.length === 0) return null;
  const sorted = [...values].sort((a, b) => a - b);
  const at = (sorted.length - 1) * p;
  const below = Math.floor(at);
  const above = Math.ceil(at);
  return sorted[below] + (sorted[above] - sorted[below]) * (at - below);
}

/** The three percentiles that the report shows. */
export function latencyOf(values) {
  return { p50: percentile(values, 0.5), p95: percentile(values, 0.95), p99: percentile(values, 0.99) };
}
