import { z } from "zod";
import { type Role, role } from "./identity.ts";
import { limit } from "./limit.ts";
import { durationText, parseDurationMs } from "./quantity.ts";
import { type BreachPolicy, breachPolicies } from "./turn.ts";

/**
 * Where a candidate comes from, as a quest file names it ({@link fixer}) and in plain units ({@link FixerSpec}).
 * What each kind does is told in docs/fixers.md.
 */

export const commandText = z.string().trim().min(1).max(4_000);
const filePath = z.string().min(1).max(512);

/** A value a parameter may take, as it is written into its file. */
export const knobValue = z.union([z.string().max(256), z.number(), z.boolean()]);
export type KnobValue = z.infer<typeof knobValue>;

const create = z
  .boolean()
  .default(false)
  .meta({ description: "Make the file, or the place in it, where it is not there." });
const pointer = z.string().regex(/^(\/([^~/]|~[01])*)+$/, {
  error: "write a JSON pointer such as /pool/size (RFC 6901)",
});

const knob = z
  .strictObject({
    name: z.string().regex(/^[A-Za-z][A-Za-z0-9_.-]{0,63}$/, {
      error: "start with a letter; letters, digits, _ . - only",
    }),
    values: z.array(knobValue).min(1).max(limit.knobValuesMax).optional(),
    from: z.number().optional(),
    to: z.number().optional(),
    scale: z.enum(["linear", "log"]).default("linear"),
    integer: z.boolean().default(false),
    env: z
      .strictObject({
        file: filePath,
        key: z.string().regex(/^[A-Za-z_][A-Za-z0-9_.]*$/, { error: "the name of a variable" }),
        create,
      })
      .optional()
      .meta({ description: "A line KEY=value of a dotenv file." }),
    json: z.strictObject({ file: filePath, pointer, create }).optional(),
    yaml: z.strictObject({ file: filePath, pointer, create }).optional(),
    template: z
      .strictObject({
        file: filePath,
        from: filePath.optional().meta({ description: "The template; <file>.tmpl by default." }),
        placeholder: z.string().min(1).max(64),
        create,
      })
      .optional()
      .meta({ description: "A file that is written anew from a template beside it." }),
  })
  .superRefine((each, context) => {
    const fault = (path: string[], message: string): void =>
      context.addIssue({ code: "custom", path, message });
    const ranged = each.from !== undefined || each.to !== undefined;
    if (ranged === (each.values !== undefined)) fault([], "give either values, or from and to");
    if (ranged && (each.from === undefined || each.to === undefined))
      fault([], "a range has both from and to");
    if (each.from !== undefined && each.to !== undefined && each.from >= each.to)
      fault(["to"], "to must be more than from");
    if (each.scale === "log" && each.from !== undefined && each.from <= 0)
      fault(["from"], "a log scale starts above 0");
    if (each.integer && ranged && ![each.from, each.to].every((end) => Number.isInteger(end)))
      fault(["integer"], "the ends of a range of integers are integers");
    const places = [each.env, each.json, each.yaml, each.template].filter(Boolean).length;
    if (places !== 1) fault([], "say once where it is written: env, json, yaml or template");
  });

const knobs = z.strictObject({
  parameters: z
    .array(knob)
    .min(1)
    .max(limit.knobsMax)
    .superRefine((list, context) => {
      const names = list.map(({ name }) => name);
      const twice = names.findIndex((each, at) => names.indexOf(each) !== at);
      if (twice >= 0)
        context.addIssue({
          code: "custom",
          path: [twice, "name"],
          message: `the name ${names[twice]} is used twice`,
        });
    }),
  trials: z
    .int()
    .min(1)
    .max(limit.knobTrialsMax)
    .default(16)
    .meta({ description: "Settings that are tried, besides the present one." }),
  seed: z.union([z.string().min(1).max(64), z.int()]).optional(),
});

/** The coding CLIs that there is a template for. */
const cliNames = ["claude", "codex", "gemini", "aider"] as const;
export type CliName = (typeof cliNames)[number];

const cli = z.strictObject({
  cli: z.enum(cliNames),
  model: z.string().min(1).max(120).optional(),
  extraArgs: z
    .array(z.string().max(1_000))
    .max(32)
    .default([])
    .meta({ description: "Added to its command line, which everyone on the machine can read: no secrets." }),
  env: z
    .array(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, { error: "the name of a variable" }))
    .max(32)
    .default([])
    .meta({ description: "Names of more variables that are handed on to it, where they are set." }),
  timeout: durationText.default("30m"),
  quotaWait: durationText
    .default("1h")
    .meta({ description: "How long a pass waits in all for a quota that is used up." }),
});

const turns = z
  .strictObject({
    leader: role.meta({
      description: "The role whose agent leads: it says whose turn is next, and ends with a change.",
    }),
    workers: z.array(role).min(1).max(3).meta({ description: "The roles that it may give a turn to." }),
    ask: z.string().trim().min(1).max(limit.reasonCharsMax).optional(),
    turnWithin: durationText
      .default("5m")
      .meta({ description: "How long a turn may go unanswered; then it goes back to the leader." }),
    turnsMax: z.int().min(2).max(limit.turnsMax).default(limit.turnsDefault),
    onBreach: z
      .enum(breachPolicies)
      .default("warn")
      .meta({ description: "What becomes of the quest where the rules of the conversation are broken." }),
  })
  .superRefine(({ leader, workers }, context) => {
    const fault = (message: string): void => context.addIssue({ code: "custom", path: ["workers"], message });
    if (workers.includes(leader)) fault("the leader is not one of its workers; name other roles");
    if (new Set(workers).size < workers.length) fault("name each role once");
  });

const ask = z.union([z.literal(true), z.string().trim().min(1).max(limit.reasonCharsMax)]);

export const fixer = z.union([
  z.strictObject({ patch: z.string().min(1) }),
  z.strictObject({
    command: commandText,
    timeout: durationText.default("10m"),
    asks: z
      .array(z.literal("network"))
      .min(1)
      .max(1)
      .optional()
      .meta({ description: "What it wants an operator's approval of before it runs." }),
  }),
  z.strictObject({ knobs }),
  cli,
  z.strictObject({
    human: ask.meta({ description: "What a person is asked for, or true." }),
  }),
  z.strictObject({
    worker: ask.meta({ description: "What a program on the bus is asked for, or true." }),
  }),
  z.strictObject({
    turns: turns.meta({ description: "Agents that take turns on one conversation: docs/turns.md." }),
  }),
]);
type FixerDocument = z.output<typeof fixer>;

/** Where a parameter is written: one place in one file of the target. */
export type KnobPlace = { file: string; create: boolean } & (
  | { kind: "env"; key: string }
  | { kind: "json" | "yaml"; pointer: string }
  | { kind: "template"; from: string; placeholder: string }
);
export type KnobDomain =
  | { kind: "values"; values: readonly KnobValue[] }
  | { kind: "range"; from: number; to: number; scale: "linear" | "log"; integer: boolean };
export type Knob = { name: string; domain: KnobDomain; place: KnobPlace };

/** A candidate is made in a conversation. */
export type TurnsSpec = {
  kind: "turns";
  name: string;
  ask: string | null;
  leader: Role;
  workers: readonly Role[];
  turnMs: number;
  turnsMax: number;
  onBreach: BreachPolicy;
};

export type FixerSpec =
  | { kind: "patch"; name: string; sha256: string }
  | { kind: "command"; name: string; command: string; timeoutMs: number; asks?: readonly "network"[] }
  | { kind: "commit"; name: string; commit: string }
  | {
      kind: "cli";
      name: string;
      cli: CliName;
      model: string | null;
      extraArgs: readonly string[];
      env: readonly string[];
      timeoutMs: number;
      quotaWaitMs: number;
    }
  | { kind: "human" | "worker"; name: string; ask: string | null }
  | TurnsSpec
  | { kind: "knobs"; name: string; parameters: readonly Knob[]; trials: number; seed: string | null };

function placeOf({ env, json, yaml, template }: z.output<typeof knob>): KnobPlace {
  if (env) return { kind: "env", ...env };
  if (json) return { kind: "json", ...json };
  if (yaml) return { kind: "yaml", ...yaml };
  if (template) return { kind: "template", ...template, from: template.from ?? `${template.file}.tmpl` };
  throw new RangeError("a parameter without a place");
}

function knobOf(each: z.output<typeof knob>): Knob {
  const { name, values, from = 0, to = 0, scale, integer } = each;
  const domain: KnobDomain = values
    ? { kind: "values", values }
    : { kind: "range", from, to, scale, integer };
  return { name, domain, place: placeOf(each) };
}

/** The files that the knobs fixers among these write. */
export const knobFilesOf = (fixers: readonly FixerSpec[]): string[] => [
  ...new Set(
    fixers.flatMap((each) => (each.kind === "knobs" ? each.parameters.map(({ place }) => place.file) : [])),
  ),
];

/** A fixer of the quest file in plain units; `next` gives what admission resolved for the next patch. */
export function normaliseFixer(each: FixerDocument, next: () => FixerSpec): FixerSpec {
  if ("patch" in each) return next();
  if ("command" in each) {
    const { command } = each;
    const name = command.split("\n", 1)[0] as string;
    const timeoutMs = parseDurationMs(each.timeout);
    return { kind: "command", name, command, timeoutMs, ...(each.asks ? { asks: each.asks } : {}) };
  }
  if ("cli" in each) {
    const { cli: program, model = null, extraArgs, env } = each;
    const name = model === null ? program : `${program} (${model})`;
    const timeoutMs = parseDurationMs(each.timeout);
    const quotaWaitMs = parseDurationMs(each.quotaWait);
    return { kind: "cli", name, cli: program, model, extraArgs, env, timeoutMs, quotaWaitMs };
  }
  if ("human" in each) return { kind: "human", name: "human", ask: each.human === true ? null : each.human };
  if ("worker" in each)
    return { kind: "worker", name: "worker", ask: each.worker === true ? null : each.worker };
  if ("turns" in each) {
    const { ask: words = null, turnWithin, ...rest } = each.turns;
    return { kind: "turns", name: "turns", ask: words, turnMs: parseDurationMs(turnWithin), ...rest };
  }
  const parameters = each.knobs.parameters.map(knobOf);
  const { trials, seed } = each.knobs;
  const name = `knobs ${parameters.map((one) => one.name).join(", ")}`.slice(0, 120);
  return { kind: "knobs", name, parameters, trials, seed: seed === undefined ? null : String(seed) };
}
