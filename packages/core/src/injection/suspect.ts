import { type InjectionKind, injectionKinds } from "@questbus/protocol";

const who =
  "(?:operator|arbiter|orchestrator|auditor|administrator|admin|root|superuser|system|architect|qa|ops|performance(?: agent)?|maintainers?|security team|developers? of questbus|questbus)";
const told =
  "(?:instructions?|prompts?|guidelines?|directives?|guardrails|brief(?:ing)?|orders|polic(?:y|ies)|restrictions|authority rules|rules (?:above|you were given|of (?:your|the) role)|role|system message)";
const addressed = "(?:you (?:must|should|shall|will|have to|need to)|please|immediately|always)";

/**
 * Held against the text as it reads, in lower case and with single spaces. A part that repeats is bounded, or begins once a
 * word: everyone waits while a text is looked at.
 */
const forms: readonly (readonly [InjectionKind, RegExp])[] = [
  [
    "override",
    new RegExp(
      `\\b(?:ignore|disregard|forget|override|bypass|discard|violate|(?:do not|don't|never|stop) (?:follow|obey)(?:ing)?)\\b[^.!?]{0,40}\\b(?:previous|prior|above|earlier|preceding|all|any|your|system|original|initial|safety)\\b[^.!?]{0,30}\\b${told}\\b`,
    ),
  ],
  [
    "override",
    /\b(?:ignore|disregard|forget) (?:everything|all|anything) (?:above|before|you (?:were|have been) told|that came)/,
  ],
  [
    "override",
    /\b(?:new|updated|revised|real) (?:system )?instructions? ?(?::|for (?:you|the (?:agent|assistant|model|reviewer)))/,
  ],
  [
    "override",
    /\byour (?:real|actual|true|new|only) (?:task|goal|instructions?|job|objective|purpose) (?:is|are)\b/,
  ],
  [
    "override",
    /\b(?:developer|debug|god|admin|maintenance|unrestricted|jailbreak|dan) mode (?:is |has been )?(?:now )?(?:enabled|on|active|activated|unlocked)\b(?! (?:by|with|when|if|in)\b)/,
  ],
  [
    "role",
    new RegExp(
      `\\byou are (?:now|no longer|from now on|actually|in fact|hereby)\\b[^.!?]{0,25}\\b(?:${who}|bound|unrestricted|free of)`,
    ),
  ],
  [
    "role",
    new RegExp(
      `\\b(?:act|behave|respond|answer|speak|reply|report|work|pose) as (?:if you were )?(?:the |an? )?${who}\\b(?! (?:proxy|of))`,
    ),
  ],
  ["role", /\bpretend (?:to be|you are|that you are)\b/],
  [
    "role",
    new RegExp(
      `\\b(?:i am|i'm|this is|speaking as|message from|order from|on behalf of|signed(?:,| by)?) (?:the |your |an? )?${who}\\b[^.!?]{0,40}(?:[,:;!.]|\\b(?:and|you|i)\\b)`,
    ),
  ],
  [
    "role",
    /\b(?:assume|adopt|take(?: on| over)?|switch to|change to|escalate to) (?:the )?(?:role|identity|persona|privileges|credentials?) (?:of|to)\b/,
  ],
  [
    "role",
    /\b(?:grant|give) (?:yourself|me|this agent)\b[^.!?]{0,40}\b(?:role|access|authority|permissions?|approval|rights)\b/,
  ],
  [
    "verdict",
    new RegExp(
      `${addressed}[^.!?]{0,30}\\b(?:approve|accept|merge|sign off|vote yes|pass|rule|grant)\\b[^.!?]{0,40}\\b(?:change|candidate|patch|pass|quest|approval|request|escalation|verdict|improvement|sign-?off)s?\\b`,
    ),
  ],
  [
    "verdict",
    /\b(?:approve|accept|merge|grant|vote yes)\b[^.!?]{0,40}\b(?:without|regardless of|no matter|whatever|even if)\b[^.!?]{0,40}\b(?:review|tests?|evidence|checks?|checking|measur\w+|running|result|fail\w*|approval|question|diff|touches)/,
  ],
  [
    "verdict",
    /\b(?:verdict|sign-?off|ruling|decision|vote)\b ?(?:"|'|:)? ?(?:must be|shall be|should be|has to be|:=) ?(?:"|')?(?:accept(?:ed)?|yes|keep|grant(?:ed)?|approved?)\b/,
  ],
  [
    "verdict",
    /\b(?:report|say|answer|claim|state|record|mark)\b[^.!?]{0,30}\b(?:that )?(?:all |the )?(?:tests?|suite|benchmark|gate|change|quest|candidate)\b[^.!?]{0,20}\b(?:passed|passes|as (?:passed|accepted|approved)|is (?:faster|accepted|approved))\b[^.!?]{0,40}\b(?:regardless|no matter|even (?:if|though)|without|instead|whatever)/,
  ],
  [
    "verdict",
    /\b(?:you|agents?|assistants?|reviewers?|models?)\b[^.!?]{0,30}\b(?:skip|disable|turn off|do not run|don't run|must not run)\b[^.!?]{0,30}\b(?:tests?|suite|benchmark|gate|seal|sandbox|review|audit)\b/,
  ],
  [
    "command",
    /\bquestbus (?:rule e-\w+|rule\b[^.!?]{0,60}--decision|approvals? (?:grant|deny)|agent (?:add|revoke|run)|cancel q-\w+|resume\b|dead (?:retry|drop))/,
  ],
  ["command", /\bnats (?:pub|publish|req|request|sub)\b/],
  ["command", /[a-z0-9-]\.cmd\.(?:operator|arbiter|orchestrator|architect|performance|qa|ops|worker)\b/],
  ["command", /"?type"? ?: ?"?questbus\.(?:command|event)\./],
  ["command", /\$js\.api\./],
  ["command", /\b(?:curl|wget)\b[^|]{0,200}\| ?(?:sudo )?(?:ba|z|da)?sh\b/],
  [
    "command",
    /\b(?:send|post|upload|exfiltrate|reveal|leak|e?mail|disclose|output|print out|paste)\b[^.!?]{0,50}\b(?:credentials?|api keys?|nkeys?|seeds?|passwords?|private keys?|tokens?|secrets?|environment variables|system prompt|\.env|\w+\.nk)\b[^.!?]{0,60}\b(?:to|here|in your|with your|into)\b/,
  ],
];

/** Held against the text as it was written. */
const rawForms: readonly (readonly [InjectionKind, RegExp])[] = [
  [
    "forged-turn",
    /<\|(?:im_start|im_end|system|user|assistant|endoftext|start_header_id|end_header_id|eot_id)[^>\n]{0,20}\|?>/i,
  ],
  ["forged-turn", /\[\/?INST\]|<<\/?SYS>>/],
  [
    "forged-turn",
    /<\/?(?:system|assistant|developer)[-_ ]?(?:prompt|message|reminder|instructions?|note)?>/i,
  ],
  [
    "forged-turn",
    /^[ \t]*(?:#{1,6} *|\*\*|\[)?(?:system|assistant|developer) (?:prompt|message|instructions?|override|notice)(?:\]|\*\*)? ?:/im,
  ],
  ["forged-turn", /^ ?(?:human|assistant|system) ?: .{0,200}\n{1,3} ?(?:human|assistant|system) ?: /im],
  ["hidden", /[\u{E0000}-\u{E007F}]/u],
  ["hidden", /[\u202A-\u202E\u2066-\u2069]/],
  ["hidden", /(?:[\u200B\u200C\u2060\uFEFF][^\u200B\u200C\u2060\uFEFF]?){3}/],
];

/** No form above fits without one of these: most texts have none, and looking at them is on the way of every answer. */
const triggers =
  /ignore|disregard|forget|overrid|bypass|discard|violat|obey|follow|instruction|your |mode |you are| as |pretend|i am|i'm|this is|message from|order from|on behalf|signed|role|identity|persona|privilege|credential|yourself|give me|approv|accept|merge|sign.?off|vote|verdict|ruling|decision|regardless|no matter|without|whatever|even |please|immediately|always|you (?:must|should|shall|will|have|need)|skip|disable|turn off|not run|questbus|nats |\.cmd\.|\$js|curl|wget|api key|nkey|seed|password|private key|token|secret|environment|prompt|\.env|\.nk/;
const rawTriggers = /[<[\u0080-\u{10FFFF}]|system|assistant|developer|human/iu;

/** Letters of other scripts that look like ours, as far as they are used to write around a rule. */
const lookalikes = new Map(
  Object.entries({
    а: "a",
    е: "e",
    о: "o",
    р: "p",
    с: "c",
    у: "y",
    х: "x",
    і: "i",
    ј: "j",
    ѕ: "s",
    ԁ: "d",
    һ: "h",
    ո: "n",
    ѵ: "v",
    α: "a",
    ε: "e",
    ι: "i",
    ο: "o",
    ρ: "p",
    τ: "t",
    υ: "u",
    ν: "v",
    κ: "k",
  }),
);
const unseen = /[\u00AD\u200B-\u200F\u202A-\u202E\u2060-\u2069\uFEFF\u{E0000}-\u{E007F}]/gu;
const isAscii = (text: string): boolean => /^[\t\n\r -~]*$/.test(text);

/** The text as a reader takes it: no unseen characters, one script, one case, single spaces. */
function asRead(text: string): string {
  const plain = isAscii(text)
    ? text
    : [...text.normalize("NFKC").replace(unseen, "")].map((each) => lookalikes.get(each) ?? each).join("");
  return bounded(plain)
    .toLowerCase()
    .replaceAll("’", "'")
    .replace(/[\s*_`>#]+/g, " ");
}

/** A text that comes in base64, read: long enough to say something, and nothing but text. */
function decodedOf(text: string): string[] {
  if (text.length < encodedMin) return [];
  const found = text.match(/\b[A-Za-z0-9+/]{40,}={0,2}/g) ?? [];
  return found.slice(0, decodedMax).flatMap((each) => {
    if (/^[a-z]*$/.test(each)) return [];
    const read = atobOrNull(each);
    return read !== null && /^[\t\n\r -~]{20,}$/.test(read) && read.includes(" ") ? [read] : [];
  });
}

function atobOrNull(text: string): string | null {
  try {
    return atob(text.slice(0, text.length - (text.length % 4)));
  } catch {
    return null;
  }
}

/** Of a longer text the beginning and the end are looked at. */
const charsMax = 16_384;
const encodedMin = 40;
const decodedMax = 16;

const bounded = (text: string): string =>
  text.length <= charsMax ? text : `${text.slice(0, charsMax / 2)}\n${text.slice(-charsMax / 2)}`;

function addFound(found: Set<InjectionKind>, of: typeof forms, text: string): void {
  for (const [kind, form] of of) if (!found.has(kind) && form.test(text)) found.add(kind);
}

/**
 * What a text of an agent, a repository or a tool shows signs of, when it speaks to whoever reads it: each kind once, in the
 * order of {@link injectionKinds}. A sign is recorded and counted; it decides nothing, and its absence proves nothing:
 * what keeps such a text from having an effect is that no text grants anything.
 */
export function suspectText(given: string): InjectionKind[] {
  const text = bounded(given);
  const found = new Set<InjectionKind>();
  for (const each of [text, ...decodedOf(text)]) {
    const read = asRead(each);
    if (triggers.test(read)) addFound(found, forms, read);
    if (rawTriggers.test(each)) addFound(found, rawForms, each);
  }
  return injectionKinds.filter((kind) => found.has(kind));
}
