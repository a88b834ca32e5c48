/**
 * Secrets in what agents, repositories and tools say: forms that their makers publish, so that a match is hardly ever
 * anything else. What has no form of its own, a password in a sentence say, is not found. Each form reads a bounded part from
 * where it begins, or begins once a word: while a message full of beginnings is looked at, everyone waits.
 */
const forms: readonly (readonly [string, RegExp])[] = [
  [
    "private key",
    /-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]{0,40}PRIVATE KEY-----|$)/g,
  ],
  ["nkey seed", /\bS[UAONCX][A-Z2-7]{56}\b/g],
  ["GitHub token", /\b(?:gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_\w{22,255})\b/g],
  ["GitLab token", /\bglpat-[\w-]{20,255}/g],
  ["API key", /(?<!\w|[\w-]-)sk-(?:[a-z]{2,8}-)?(?=[\w-]*\d)[\w-]{20,255}/g],
  ["AWS key", /\b(?:AKIA|ASIA)[0-9A-Z]{16}\b/g],
  ["Slack token", /\bxox[abeoprs]-[\w-]{10,255}/g],
  ["npm token", /\bnpm_[A-Za-z0-9]{36}\b/g],
  ["Google key", /\bAIza[\w-]{35}\b/g],
  ["JSON web token", /(?<!\w|[\w-]-)eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}/g],
];
const inAddress = /\b([a-z][a-z0-9+.-]{1,15}:\/\/[^\s:/@"']{1,100}):[^\s/@"']{1,200}@/g;
/** No form fits without one of these. */
const triggers =
  /BEGIN |S[UAONCX][A-Z2-7]{56}|gh[pousr]_|github_pat_|glpat-|sk-|AKIA|ASIA|xox|npm_|AIza|eyJ|:\/\//;

/** What each replaced secret begins with. */
export const redactedMark = "[redacted: ";

/** The text with `[redacted: …]` where a secret stood. */
export function redactText(text: string): string {
  if (!triggers.test(text)) return text;
  let clean = text;
  for (const [name, form] of forms) clean = clean.replace(form, `${redactedMark}${name}]`);
  return clean.replace(inAddress, "$1:[redacted: password]@");
}

/** A line of a log, which stays JSON: a form that runs to the end of its text ends with that text. */
export function redactLine(line: string): string {
  if (!triggers.test(line)) return line;
  try {
    return `${JSON.stringify(redact(JSON.parse(line)))}\n`;
  } catch {
    return redactText(line);
  }
}

/** A JSON value with every text in it redacted; itself, where there is no secret. */
export function redact<T>(value: T): T {
  if (typeof value === "string") return redactText(value) as T;
  if (value === null || typeof value !== "object") return value;
  const entries = Object.entries(value);
  const clean = entries.map(([key, each]) => [redactText(key), redact(each)] as const);
  if (clean.every(([key, each], at) => key === entries[at]?.[0] && each === entries[at]?.[1])) return value;
  return (Array.isArray(value) ? clean.map(([, each]) => each) : Object.fromEntries(clean)) as T;
}
