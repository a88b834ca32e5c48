import { z } from "zod";
import { type Authority, forbiddenPaths } from "./authority.ts";
import { commandText, type FixerSpec, fixer, knobFilesOf, normaliseFixer } from "./fixer.ts";
import { type HttpTarget, httpTarget, measureProblems, normaliseHttp, sourceProblem } from "./http-target.ts";
import { questId, type Role, role, roles } from "./identity.ts";
import { limit } from "./limit.ts";
import {
  directionProblem,
  metricSource,
  outputPath,
  type Statistic,
  statisticProblem,
  statistics,
  unitOfMetric,
} from "./measure.ts";
import { durationText, parseDurationMs, parsePercent, percentText } from "./quantity.ts";
import { type NetworkUser, networkUsers } from "./sandbox.ts";

/**
 * The quest file (version 1): what should get better, how it is measured, and what must hold meanwhile.
 * {@link questDocument} is the form people write; {@link QuestSpec} is the same with defaults and plain units.
 */

const name = z
  .string()
  .regex(/^[A-Za-z][A-Za-z0-9_.-]{0,63}$/, { error: "start with a letter; letters, digits, _ . - only" });
const glob = z.string().min(1).max(256);

const stat = z.enum(statistics).optional().meta({
  description:
    "Which figure of the samples that one run gives is its observation: the tail guard is p95 or p99.",
});

const metric = z.strictObject({
  name: name.meta({ description: "With metric-line alone, the name in the line METRIC name=value." }),
  from: metricSource,
  stat,
  unit: z.string().min(1).max(16).optional().meta({
    description:
      "Shown with figures. A time that the source knows the unit of is converted. Without it, the source's own, or what a name such as p95_ms says.",
  }),
  better: z.enum(["lower", "higher"]).default("lower"),
});

const guard = z.strictObject({
  name,
  from: metricSource,
  stat,
  unit: z.string().min(1).max(16).optional(),
  better: z.enum(["lower", "higher"]).default("lower"),
  worseBy: percentText
    .refine((text) => Number.parseFloat(text) !== 0, { error: "a guard needs a bound above 0%" })
    .meta({ description: "The candidate is refused unless it is shown to be less than this much worse." }),
});

const exclusive = z
  .array(glob)
  .max(64)
  .optional()
  .meta({ description: "What this role alone may write: no other role does." });

const authority = z.strictObject({
  write: z.array(glob).max(64).default(["**"]).meta({ description: "What it may write." }),
  exclusive,
  never: z
    .array(glob)
    .max(64)
    .default([])
    .meta({ description: "What it never writes, whatever else says so." }),
});
/** A role that writes nothing into a candidate can still be the only one for some paths. */
const ownership = z.strictObject({ exclusive });

const sealPolicies = ["strict", "restore"] as const;

const seal = z.strictObject({
  policy: z.enum(sealPolicies).optional().meta({
    description:
      "strict: a candidate that touches what is sealed is refused. restore: that is set aside, and the rest is judged. Restore with intent validate, else strict.",
  }),
  paths: z
    .array(glob)
    .max(64)
    .default([])
    .meta({ description: "Sealed besides tests, bench and lockfiles." }),
  except: z.array(glob).max(64).default([]).meta({ description: "Not sealed, whatever else says so." }),
});

/** The shares of a goal as far as they can be read; what cannot has a fault of its own. */
function sharesOf(
  goal: Partial<Record<"improveBy" | "margin" | "minEffect", string | undefined>> | undefined,
) {
  const share = (text: string | undefined): number | null => {
    const read = percentText.safeParse(text);
    return read.success ? parsePercent(read.data) : null;
  };
  return {
    improveBy: share(goal?.improveBy),
    margin: share(goal?.margin),
    minEffect: share(goal?.minEffect),
  };
}

export const intents = ["optimize", "validate", "improve"] as const;

export const questDocument = z
  .strictObject({
    $schema: z.string().optional().meta({ description: "For editors; not read." }),
    version: z.literal(1, { error: "this release reads version 1" }),
    title: z
      .string()
      .trim()
      .min(1)
      .max(120)
      .regex(/^[^\r\n]*$/, { error: "one line only" }),
    intent: z.enum(intents).default("optimize"),
    target: z.strictObject({
      repo: z.string().min(1).meta({ description: "A git repository, relative to this file." }),
      ref: z.string().min(1).default("HEAD"),
      prepare: commandText
        .optional()
        .meta({ description: "Run once in each fresh worktree, for instance npm ci." }),
      candidate: z
        .string()
        .min(1)
        .optional()
        .meta({ description: "With intent validate: a ref, or a patch file." }),
    }),
    measure: z.strictObject({
      command: commandText.optional(),
      http: httpTarget.optional(),
      output: outputPath.optional(),
      metric,
      timeout: durationText.default("60s"),
    }),
    goal: z
      .strictObject({
        improveBy: percentText.optional(),
        margin: percentText.default("1%").meta({ description: "A gain up to this much counts as none." }),
        acceptDetectable: z.boolean().default(false).meta({
          description: "A goal that the budget cannot show is raised to the smallest one that it can.",
        }),
        minEffect: percentText.optional().meta({
          description:
            "The smallest gain worth chasing: a candidate shown to gain less is dropped early. 5%, or the goal where that is smaller.",
        }),
      })
      .optional(),
    tests: z.strictObject({ command: commandText, timeout: durationText.default("10m") }),
    guards: z.array(guard).max(limit.guardsMax).default([]),
    fixers: z.array(fixer).max(limit.fixersMax).default([]),
    budget: z
      .strictObject({
        passes: z.int().min(1).max(limit.passesMax).default(limit.passesMax),
        pairs: z.int().min(limit.pairsMin).max(limit.pairsMax).default(limit.pairsDefault),
        wallClock: durationText.default("30m"),
      })
      .optional(),
    authorities: z
      .strictObject({
        performance: authority.optional(),
        architect: ownership.optional(),
        qa: ownership.optional(),
        ops: ownership.optional(),
      })
      .optional(),
    allow: z
      .strictObject({
        dependencies: z
          .union([z.boolean(), z.literal("ask")])
          .default(false)
          .meta({
            description:
              "Other dependencies, versions and lockfiles: false, a sign of gaming; ask, each needs an operator's approval; true, approved.",
          }),
        git: z.boolean().optional().meta({
          description: "True: hooks, attributes and settings of git may be changed without an approval.",
        }),
        mcp: z.boolean().optional().meta({
          description: "True: the settings and MCP servers of coding agents may be, too.",
        }),
        network: z
          .array(z.enum(networkUsers))
          .max(networkUsers.length)
          .optional()
          .meta({ description: "Whose commands reach the network; those of nobody without it." }),
      })
      .optional(),
    approvals: z
      .strictObject({
        expireAfter: durationText.default("1h").meta({
          description: "An approval that nobody decided on for this long is denied.",
        }),
      })
      .optional(),
    seal: seal.optional(),
    signOff: z
      .array(role)
      .min(1)
      .refine((list) => new Set(list).size === list.length, { error: "name each role once" })
      .default(["architect", "performance", "qa", "ops"]),
    profile: z.enum(["auto", "none"]).default("auto").meta({
      description: "auto: one run more before the first pass, under a profiler, shows where the time goes.",
    }),
    watch: questId.optional().meta({
      description: "Set by questbus recheck: the quest whose accepted change target.ref is held against.",
    }),
    onAccept: z
      .strictObject({
        branch: z
          .string()
          .regex(/^[A-Za-z0-9{][A-Za-z0-9._/{}-]*$/, {
            error: "a branch name; {quest} stands for the quest's id",
          })
          .default("questbus/{quest}"),
        changelog: z.string().min(1).nullable().default(null),
      })
      .optional(),
  })
  .superRefine((quest, context) => {
    const fault = (path: (string | number)[], message: string): void => {
      context.addIssue({ code: "custom", path, message });
    };
    if (quest.intent === "optimize" && !quest.goal?.improveBy) {
      fault(["goal", "improveBy"], "intent optimize needs a goal; write improveBy, or use intent improve");
    }
    const { improveBy, margin, minEffect } = sharesOf(quest.goal);
    if (improveBy !== null && margin !== null && improveBy <= margin) {
      fault(
        ["goal", "improveBy"],
        "the goal must be more than the margin, up to which a gain counts as none",
      );
    }
    if (minEffect !== null && ((margin ?? 0) >= minEffect || minEffect > (improveBy ?? 1))) {
      fault(
        ["goal", "minEffect"],
        "the smallest gain worth chasing lies above the margin, and not above the goal",
      );
    }
    if (quest.intent === "improve" && quest.goal?.improveBy) {
      fault(["goal", "improveBy"], "intent improve has no numeric goal; remove it, or use intent optimize");
    }
    if (quest.intent === "validate" && !quest.target.candidate) {
      fault(["target", "candidate"], "intent validate needs the change to judge: a ref, or a patch file");
    }
    if (quest.intent === "validate" && quest.fixers.length > 0) {
      fault(["fixers"], "intent validate judges target.candidate; remove the fixers");
    }
    if (quest.intent !== "validate" && quest.watch) {
      fault(["watch"], "a watch has intent validate; questbus recheck makes one");
    }
    if (quest.intent !== "validate" && quest.target.candidate) {
      fault(["target", "candidate"], "only intent validate takes a candidate; use fixers");
    }
    if (quest.intent !== "validate" && quest.fixers.length === 0) {
      fault(["fixers"], "name at least one fixer, a patch or a command, say; docs/fixers.md has them all");
    }
    const changelog = quest.onAccept?.changelog;
    if (changelog && !opsMayWrite(changelog, quest.authorities ?? {}))
      fault(["onAccept", "changelog"], "ops writes it, and authorities give it to another role alone");
    const values = (quest.budget?.pairs ?? limit.pairsDefault) * (quest.guards.length + 2);
    if (values > limit.pairValuesMax) {
      fault(
        ["budget", "pairs"],
        `pairs times guards are more than one report can carry: ask for ${Math.floor(limit.pairValuesMax / (quest.guards.length + 2))} at most`,
      );
    }
    const figures = [
      { figure: quest.measure.metric, place: ["measure", "metric"] as (string | number)[] },
      ...quest.guards.map((figure, at) => ({ figure, place: ["guards", at] })),
    ];
    for (const { key, message } of measureProblems(quest.measure)) fault(["measure", key], message);
    for (const { figure, place } of figures) {
      const source = sourceProblem(figure.from, quest.measure.http !== undefined);
      if (source) fault([...place, "from"], source);
      const direction = directionProblem(figure.from, figure.better);
      if (direction) fault([...place, "better"], direction);
      const statistic = figure.stat && statisticProblem(figure.from);
      if (statistic) fault([...place, "stat"], statistic);
    }
    const names = [quest.measure.metric.name, ...quest.guards.map((each) => each.name)];
    const twice = names.find((each, at) => names.indexOf(each) !== at);
    if (twice) fault(["guards"], `the name ${twice} is used twice`);
  })
  .meta({ id: "Quest", title: "Questbus quest, version 1" });

/** A quest file as it was written, checked. */
export type QuestDocument = z.output<typeof questDocument>;

export type MetricSpec = {
  name: string;
  from: string;
  unit: string;
  better: "lower" | "higher";
  /** Which figure of a run's samples counts; absent: the source's own. */
  stat?: Statistic | undefined;
};
export type GuardSpec = MetricSpec & { worseBy: number };
/** What of the target judges candidates, and so may not be changed by them; globs, beside the usual places. */
export type SealSpec = { policy: (typeof sealPolicies)[number]; paths: string[]; except: string[] };

/** A quest with defaults filled in: times in milliseconds, shares as fractions (0.2 for 20 %). */
export type QuestSpec = {
  title: string;
  intent: (typeof intents)[number];
  target: { repo: string; ref: string; prepare: string | null };
  measure: {
    /** What is run; of an HTTP target, what starts it. */
    command: string;
    metric: MetricSpec;
    timeoutMs: number;
    /** Where the command writes its results, relative to the worktree; absent: stdout. */
    output?: string | undefined;
    /** The command starts a server, which is measured under load; absent: the command measures. */
    http?: HttpTarget | undefined;
  };
  /** `improveBy` null: every gain above the margin counts. `minEffect` null: the gate's default. */
  goal: { improveBy: number | null; margin: number; minEffect: number | null; acceptDetectable: boolean };
  tests: { command: string; timeoutMs: number };
  guards: GuardSpec[];
  fixers: FixerSpec[];
  budget: { passes: number; pairs: number; wallClockMs: number };
  authority: Authority;
  /** What the operator approved that is suspect without it. */
  allow: { dependencies: boolean | "ask"; network?: NetworkUser[]; git?: true; mcp?: true };
  /** How long an operator has to decide on an approval; absent: the usual time. */
  approvalMs?: number;
  seal: SealSpec;
  signOff: z.infer<typeof role>[];
  profile: "auto" | "none";
  /** The quest whose accepted change this one holds `target.ref` against; null: none. */
  watch: string | null;
  onAccept: { branch: string; changelog: string | null };
};

type Authorities = {
  performance?: { write: string[]; never: string[]; exclusive?: string[] | undefined } | undefined;
} & { [R in "architect" | "qa" | "ops"]?: { exclusive?: string[] | undefined } | undefined };

/** What others have for themselves, as seen by one role. */
const othersOwn = (authorities: Authorities, own: Role): string[] =>
  roles.flatMap((each) => (each === own ? [] : (authorities[each]?.exclusive ?? [])));

/** What performance may write into a candidate: its own and what it is allowed, and nothing that is another role's alone. */
function authorityIn(authorities: Authorities): Authority {
  const { write, never, exclusive: own = [] } = authorities.performance ?? { write: ["**"], never: [] };
  return { write: [...write, ...own], never: [...never, ...othersOwn(authorities, "performance")] };
}

/** Ops writes one thing, the changelog's entry of an accepted change. */
const opsMayWrite = (path: string, authorities: Authorities): boolean =>
  forbiddenPaths([path], { write: ["**"], never: othersOwn(authorities, "ops") }).length === 0;

/** What admission resolved for a fixer or candidate: a stored patch's hash, or a commit. */
export type ResolvedFixer = { name: string; sha256: string } | { name: string; commit: string };

/**
 * The quest in plain units. `resolved` gives, in order, what each patch fixer and the candidate of intent
 * `validate` stand for.
 */
export function normaliseQuest(document: QuestDocument, resolved: readonly ResolvedFixer[]): QuestSpec {
  const { target, measure, tests, goal, budget } = document;
  const rest = [...resolved];
  const next = (): FixerSpec => {
    const one = rest.shift();
    if (!one) throw new RangeError("a patch of the quest was not resolved");
    return "commit" in one ? { kind: "commit", ...one } : { kind: "patch", ...one };
  };
  const fixers = target.candidate ? [next()] : document.fixers.map((each) => normaliseFixer(each, next));
  return {
    title: document.title,
    intent: document.intent,
    target: { repo: target.repo, ref: target.ref, prepare: target.prepare ?? null },
    measure: {
      command: measure.http?.start ?? measure.command ?? "",
      metric: { ...measure.metric, unit: unitOfMetric(measure.metric) },
      timeoutMs: parseDurationMs(measure.timeout),
      ...(measure.output === undefined ? {} : { output: measure.output }),
      ...(measure.http === undefined ? {} : { http: normaliseHttp(measure.http) }),
    },
    goal: {
      improveBy: goal?.improveBy ? parsePercent(goal.improveBy) : null,
      margin: parsePercent(goal?.margin ?? "1%"),
      minEffect: goal?.minEffect ? parsePercent(goal.minEffect) : null,
      acceptDetectable: goal?.acceptDetectable ?? false,
    },
    tests: { command: tests.command, timeoutMs: parseDurationMs(tests.timeout) },
    guards: document.guards.map((each) => ({
      ...each,
      unit: unitOfMetric(each),
      worseBy: parsePercent(each.worseBy),
    })),
    fixers,
    budget: {
      passes: document.intent === "validate" ? 1 : (budget?.passes ?? limit.passesMax),
      pairs: budget?.pairs ?? limit.pairsDefault,
      wallClockMs: parseDurationMs(budget?.wallClock ?? "30m"),
    },
    authority: authorityIn(document.authorities ?? {}),
    allow: {
      dependencies: document.allow?.dependencies ?? false,
      ...(document.allow?.network?.length ? { network: document.allow.network } : {}),
      ...(document.allow?.git ? { git: true as const } : {}),
      ...(document.allow?.mcp ? { mcp: true as const } : {}),
    },
    ...(document.approvals ? { approvalMs: parseDurationMs(document.approvals.expireAfter) } : {}),
    seal: {
      policy: document.seal?.policy ?? (document.intent === "validate" ? "restore" : "strict"),
      paths: document.seal?.paths ?? [],
      // What a knobs fixer is to write is the program's setting, whatever else names it.
      except: [...(document.seal?.except ?? []), ...knobFilesOf(fixers)],
    },
    signOff: document.signOff,
    profile: document.profile,
    watch: document.watch ?? null,
    onAccept: {
      branch: document.onAccept?.branch ?? "questbus/{quest}",
      changelog: document.onAccept?.changelog ?? null,
    },
  };
}
