import canonicalize from "canonicalize";

/**
 * The canonical text of a JSON value (RFC 8785): equal values give equal text, so that hashes over it can be compared.
 * Keys that are undefined are left out, as JSON does. Throws a TypeError for what is no JSON value.
 */
export function canonicalText(value: unknown): string {
  const text = canonicalize(value);
  if (text === undefined) throw new TypeError("only JSON values have a canonical text");
  return text;
}
