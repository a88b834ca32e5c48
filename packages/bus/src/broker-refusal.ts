import { type brokerRefusalKinds, limit, redactText } from "@questbus/protocol";

/**
 * What the broker's log says of attempts that it refused: nobody else hears of them. Pure.
 *
 * - L1: who it was is read from the part that the server writes itself. The name of a client, the subject and the bytes
 *   that it quotes are the sender's own words, and decide nothing.
 */
export type LoggedRefusal = {
  kind: (typeof brokerRefusalKinds)[number];
  /** The public key that was shown; null: none. */
  publicKey: string | null;
  detail: string;
};

/** `[pid] date time [LEVEL] address - cid:N - "client" - "ACCOUNT/nkey:KEY" - text`; names in it are quoted as Go does. */
const quoted = '"(?:[^"\\\\]|\\\\.)*"';
const head = /^\[\d+\] \S+ \S+ \[(?:ERR|INF|WRN)\] \S+ - cid:\d+ - (.*)$/s;
const known = new RegExp(`^${quoted} - "[^"/]*/nkey:(U[A-Z2-7]{55})" - (.*)$`, "s");
const strange = /^(?:"[^"]*" - )*authentication error(?: - Nkey "(U[A-Z2-7]{55})")?/;

const forms: readonly (readonly [LoggedRefusal["kind"], RegExp])[] = [
  ["publish", /^Publish Violation - (?:Subject|Reply) (.*)$/s],
  ["subscribe", /^Subscription Violation - Subject (.*)$/s],
  ["size", /^(maximum payload exceeded.*)$/s],
  [
    "limit",
    /^(maximum subscriptions exceeded.*|Slow Consumer Detected.*|maximum account active connections.*)$/s,
  ],
  ["protocol", /^(Client parser ERROR.*|process\w+ .*|maximum control line exceeded.*|.*[Pp]arse error.*)$/s],
];

const short = (text: string): string => redactText(text).slice(0, limit.noteCharsMax).toWellFormed();

/** A subject as the server quotes it. */
function unquoted(text: string): string {
  const [, inner] = new RegExp(`^(${quoted})`).exec(text) ?? [];
  try {
    return inner === undefined ? text : (JSON.parse(inner) as string);
  } catch {
    return inner ?? text;
  }
}

/** The refusal that a line of the log tells of; null: it tells of none. */
export function readRefusal(line: string): LoggedRefusal | null {
  const said = head.exec(line)?.[1];
  if (said === undefined) return null;
  const [, publicKey, text] = known.exec(said) ?? [];
  if (publicKey === undefined || text === undefined) {
    const refused = strange.exec(said);
    if (!refused) return null;
    return { kind: "credential", publicKey: refused[1] ?? null, detail: refused[1] ?? "no credential" };
  }
  for (const [kind, form] of forms) {
    const detail = form.exec(text)?.[1];
    if (detail !== undefined) return { kind, publicKey, detail: short(unquoted(detail)) };
  }
  return null;
}
