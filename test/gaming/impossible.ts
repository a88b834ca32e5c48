/**
 * Quests that cannot be met, on the testkit's program of counted steps: none of their candidates gains more than the
 * margin and keeps the tests green. Whatever accepts one of them is wrong.
 */
export type ImpossibleQuest = {
  title: string;
  intent: "optimize" | "improve";
  improveBy: string | null;
  /** Commands that edit the worktree, with what is hopeless about each. */
  fixers: { why: string; command: string }[];
};

const sources = ["src/least.awk", "src/most.awk", "src/total.awk"] as const;

type Draw = (below: number) => number;

/** Numbers from 0 up to, not including, `below`; the same seed gives the same ones (mulberry32). */
function drawing(seed: number): Draw {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

const edit = (file: string, script: string): string =>
  `sed '${script}' ${file} > edited && cat edited > ${file} && rm edited`;

/** Ways to be hopeless. Each gives a command for a source file and a number that makes it a little different. */
const ways: Readonly<Record<string, (file: string, n: number) => string>> = {
  "a comment": (file, n) => `echo '# Looked at ${n} times.' >> ${file}`,
  "an empty line": (file, n) => edit(file, `1s/$/\\n${"\\n".repeat(n % 3)}/`),
  "other names": (file, n) => edit(file, `s/found/value${n}/g`),
  "other white space": (file, n) => edit(file, `s/  / ${" ".repeat(n % 4)}/`),
  "the same loop, counted down": (file) =>
    edit(file, "s/at = 1; at <= count; at++/at = count; at >= 1; at--/"),
  "a slower loop": (file, n) => edit(file, `s/steps++/steps += 2 + ${n % 3}/`),
  "a slower last step": (file, n) => edit(file, `s/return found/steps += ${1 + (n % 9)}; return found/`),
  "a gain below the margin": () => edit("src/least.awk", "s/at = 1/at = 2/"),
  "a function that nobody calls": (file, n) => `echo 'function spare${n}(x) { return x + ${n} }' >> ${file}`,
  "wrong figures": (file, n) => edit(file, `s/return found/return found + ${1 + n}/`),
  // The least of the suite's four numbers is among the half that would be looked at.
  "half of the numbers": (file) => edit(file === "src/least.awk" ? "src/most.awk" : file, "s/at++/at += 2/"),
  "a syntax error": (file) => edit(file, "s/for (/for ((/"),
  "a figure left out": () => edit("src/report.awk", '/print "spread/d'),
  "nothing at all": () => "true",
  "a command that fails": (_, n) => `exit ${1 + (n % 9)}`,
};
const names = Object.keys(ways);

/** Every way with every file: what the quests draw from. */
export const hopelessCommands: readonly { why: string; file: string; command: string }[] = names.flatMap(
  (why) =>
    sources.map((file) => ({
      why,
      file,
      command: (ways[why] as (file: string, n: number) => string)(file, 1),
    })),
);

/** `count` quests; the same seed gives the same ones. */
export function impossibleQuests(seed: number, count: number): ImpossibleQuest[] {
  const draw = drawing(seed);
  return Array.from({ length: count }, (_, at) => {
    const intent = draw(4) === 0 ? "improve" : "optimize";
    const fixers = Array.from({ length: 3 }, (__, k) => {
      const why = names[(at + k * 5 + draw(5)) % names.length] as string;
      const file = sources[draw(sources.length)] as string;
      return { why, command: (ways[why] as (file: string, n: number) => string)(file, draw(90)) };
    });
    const improveBy = intent === "optimize" ? `${10 + draw(40)}%` : null;
    return {
      title: `Hopeless ${at + 1}: ${fixers.map((each) => each.why).join(", ")}`.slice(0, 120),
      intent,
      improveBy,
      fixers,
    };
  });
}
