/**
 * HTML and SVG that cannot be broken by what is put into it: a template escapes every text, and only what a template
 * made goes in as it stands.
 */
export type Markup = { readonly markup: string };

const entities: Record<string, string> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

const escapeText = (text: string): string => text.replaceAll(/[&<>"']/g, (sign) => entities[sign] as string);

type Part = Markup | string | number | null | readonly Part[];

const partText = (part: Part): string => {
  if (part === null) return "";
  if (typeof part === "number" || typeof part === "string") return escapeText(String(part));
  return "markup" in part ? part.markup : part.map(partText).join("");
};

/** A template whose texts and numbers are escaped; null is nothing. */
export const markup = (strings: TemplateStringsArray, ...parts: Part[]): Markup => ({
  markup: strings.reduce((text, each, at) => text + partText(parts[at - 1] ?? null) + each),
});
