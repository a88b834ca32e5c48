import { type Fault, limit, type Role, type Routing, roles } from "@questbus/protocol";

/**
 * Which role a request is for. Pure and total: the same words and definitions give the same role, in whatever order the
 * definitions come, and a request that cannot be told is refused, never guessed.
 *
 * A role that is addressed by its name (`@qa`, "have performance handle this") is asked, whatever else the text says; else the
 * role whose keywords it has the most of. Words choose among the roles that there are, and that is all they do: who may
 * do what is the credential's, and an operator may ask any role anyway.
 */
export type RouteDefinition = {
  role: Role;
  name: string;
  /** What the role is for, in a sentence. */
  description: string;
  keywords: readonly string[];
  activate: readonly string[];
};

type Score = Routing["scores"][number];
export type Route = { scores: Score[] } & ({ role: Role; routing: Routing } | { fault: Fault });

export function routeText(text: string, definitions: readonly RouteDefinition[]): Route {
  const plain = text.normalize("NFKC").toLowerCase();
  const words = ` ${(plain.match(/[\p{L}\p{N}]+/gu) ?? []).join(" ")} `;
  const scores = definitions
    .map((each): Score => {
      const found = each.keywords.flatMap((keyword) => keywordIn(words, keyword) ?? []);
      const score = found.reduce((sum, one) => sum + one.split(" ").length, 0);
      return { role: each.role, name: addressIn(plain, each.name), words: found, score };
    })
    .sort(bestFirst);
  const [first, second] = scores;
  const by = first?.name ? "name" : "keyword";
  if (!first || (!first.name && first.score === 0)) return { scores, fault: unclear(definitions, []) };
  const isTied = by === "name" ? Boolean(second?.name) : second?.score === first.score;
  if (!isTied) return { scores, role: first.role, routing: { by, scores } };
  const tied = scores.filter((each) => (by === "name" ? each.name : each.score === first.score));
  return { scores, fault: unclear(definitions, tied) };
}

/** Those that its definition names are asked, each for itself; none is a fault. */
export function routeEvent(
  event: string,
  definitions: readonly RouteDefinition[],
): { roles: Role[]; routing: Routing } | { fault: Fault } {
  const scores = definitions
    .filter(({ activate }) => activate.includes(event))
    .map(({ role }): Score => ({ role, name: null, words: [event], score: 1 }))
    .sort(bestFirst);
  if (scores.length > 0) return { roles: scores.map(({ role }) => role), routing: { by: "event", scores } };
  const known = [...new Set(definitions.flatMap(({ activate }) => activate))].sort();
  const fault: Fault = {
    code: "ROLE_UNCLEAR",
    message: `no role is activated by ${event}`,
    next: `one of: ${known.join(", ") || "none yet"}; a role names its events in agents/ROLE/AGENT.md, questbus.activate`,
  };
  return { fault };
}

const bestFirst = (one: Score, other: Score): number =>
  Number(other.name !== null) - Number(one.name !== null) ||
  other.score - one.score ||
  roles.indexOf(one.role) - roles.indexOf(other.role);

/** The words that a keyword found; `words` has a space around each. */
function keywordIn(words: string, keyword: string): string | null {
  const isOpen = keyword.endsWith("*");
  const wanted = isOpen ? ` ${keyword.slice(0, -1)}` : ` ${keyword} `;
  const at = words.indexOf(wanted);
  if (at < 0) return null;
  const end = isOpen ? words.indexOf(" ", at + wanted.length) : at + wanted.length - 1;
  return words
    .slice(at + 1, end)
    .slice(0, limit.keywordCharsMax)
    .toWellFormed();
}

const tasks =
  "handle|do|take|look|check|see|find|say|tell|explain|answer|run|test|measure|review|investigate|fix|decide";

/** The form in which a text speaks to the role of this name, as it stands there; null: it does not. */
function addressIn(plain: string, name: string): string | null {
  const end = "(?![\\p{L}\\p{N}_-])";
  const forms = [
    // Not an address of mail, nor a package's scope.
    `(?<![\\p{L}\\p{N}._%+/@-])@${name}${end}(?!\\.[\\p{L}\\p{N}]|/)`,
    `^[^\\p{L}\\p{N}@]{0,8}${name}\\s{0,4}[:,]`,
    `\\b(?:have|let|get)\\s{1,4}(?:the\\s{1,4})?${name}\\s{1,4}(?:to\\s{1,4})?(?:${tasks})${end}`,
    `\\b(?:ask|tell)\\s{1,4}(?:the\\s{1,4})?${name}${end}`,
    `\\b(?:give|hand|leave|pass|route|send|assign)\\s{1,4}(?:this|that|it)\\s{1,4}(?:over\\s{1,4})?to\\s{1,4}(?:the\\s{1,4})?${name}${end}`,
  ];
  for (const form of forms) {
    const [found] = new RegExp(form, "u").exec(plain) ?? [];
    if (found) return found.replace(/\s+/g, " ").slice(0, limit.keywordCharsMax).toWellFormed();
  }
  return null;
}

function unclear(definitions: readonly RouteDefinition[], tied: readonly Score[]): Fault {
  const purposes = [...definitions]
    .sort((one, other) => roles.indexOf(one.role) - roles.indexOf(other.role))
    .map(({ role, description }) => `${role}: ${description}`);
  return {
    code: "ROLE_UNCLEAR",
    message:
      tied.length === 0
        ? "no word of the request belongs to a role"
        : `the request is as much for ${tied.map(scoreText).join(" as for ")}`,
    next: `name one with --role, or in the text as @qa. ${purposes.join(" ")}`,
  };
}

/** One role's part in a routing, for people. */
export function scoreText({ role, name, words, score }: Score): string {
  const found = words.length > 0 ? `${score} by ${words.join(", ")}` : "no word";
  return name ? `${role} (addressed: ${name}; ${found})` : `${role} (${found})`;
}
