import canonicalize from "canonicalize";

/** Deeper values are left to the library; so is what goes round in circles. */
const depthMax = 64;

/** Stands for a value of which the library alone says what its text is, or why it has none. */
const unsure = Symbol("unsure");

/**
 * `value` with the keys of its objects in canonical order: itself where they are so already, as in all that was read from
 * canonical text. What the language writes of it is then canonical; the library, which sorts and quotes each key anew,
 * takes two to three times as long.
 */
function ordered(value: unknown, depth: number): unknown {
  if (typeof value === "string") return value.isWellFormed() ? value : unsure;
  if (typeof value === "number") return Number.isFinite(value) ? value : unsure;
  if (typeof value !== "object" || value === null) return value;
  if (depth > depthMax) return unsure;
  if (Array.isArray(value)) return orderedList(value, depth + 1);
  const isPlain = Object.getPrototypeOf(value) === Object.prototype && !("toJSON" in value);
  return isPlain ? orderedObject(value as Record<string, unknown>, depth + 1) : unsure;
}

function orderedList(list: readonly unknown[], depth: number): unknown {
  let copy: unknown[] | null = null;
  for (let at = 0; at < list.length; at += 1) {
    const each = ordered(list[at], depth);
    if (each === unsure) return unsure;
    if (each === list[at]) continue;
    copy ??= [...list];
    copy[at] = each;
  }
  return copy ?? list;
}

function orderedObject(object: Record<string, unknown>, depth: number): unknown {
  const isSorted = hasSortedKeys(object);
  let copy: Record<string, unknown> | null = isSorted ? null : {};
  for (const key of isSorted ? Object.keys(object) : Object.keys(object).sort()) {
    const each = ordered(object[key], depth);
    // An assignment to this key would set the copy's prototype.
    if (each === unsure || key === "__proto__" || !key.isWellFormed()) return unsure;
    if (isSorted && each !== object[key]) copy ??= { ...object };
    if (copy) copy[key] = each;
  }
  // Keys of digits come before all others, whatever was written first.
  return copy && !isSorted && !hasSortedKeys(copy) ? unsure : (copy ?? object);
}

/** By UTF-16 unit, as RFC 8785 has it. */
function hasSortedKeys(object: Record<string, unknown>): boolean {
  let before = "";
  for (const key in object) {
    if (key < before) return false;
    before = key;
  }
  return true;
}

/**
 * The canonical text of a JSON value (RFC 8785): equal values give equal text, so that hashes over it can be compared.
 * Keys that are undefined are left out, as JSON does. Throws a TypeError for what is no JSON value.
 */
export function canonicalText(value: unknown): string {
  const same = ordered(value, 0);
  const text = same === unsure ? canonicalize(value) : JSON.stringify(same);
  if (text === undefined) throw new TypeError("only JSON values have a canonical text");
  return text;
}
