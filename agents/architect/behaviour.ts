import {
  authorityOf,
  type Behaviour,
  chosenFixer,
  describeSeal,
  knobFiles,
  no,
  type Outcome,
  renderKnobs,
  reviewDifference,
  type TaskContext,
  touchedShown,
  yes,
} from "@questbus/agent";
import { drawSettings, fixersLeft, hotShareOf, nameList, unclocked } from "@questbus/core";
import {
  type Candidate,
  type FixerPlan,
  type FixerSpec,
  faultsOf,
  forbiddenPaths,
  inspectPatch,
  plural,
  QuestbusError,
} from "@questbus/protocol";
import {
  diffFiles,
  listFiles,
  patchTree,
  putBack,
  readTreeFile,
  refuseForbiddenChanges,
  treeOf,
  type Workspace,
} from "@questbus/workbench";
import { scanCandidate } from "./gaming.ts";
import { injectionsOf } from "./injection.ts";

/** The architect looks at what a change touches, from the repository itself, before anybody measures it. */
export const behaviour: Behaviour = { test: plan, fix: choose, validate: review };

/** Where every fixer of the quest stands against last known-good, and how far the whole plan reaches. */
async function plan(context: TaskContext): Promise<Outcome<"plan">> {
  const { spec, lastGood } = context.brief;
  const ws = await context.workspace();
  const fixers: FixerPlan[] = [];
  for (const [index, fixer] of spec.fixers.entries()) fixers.push(await planOf(context, ws, index, fixer));
  const touched = new Set(fixers.flatMap((each) => each.files));
  const tracked = (await listFiles(ws, lastGood.commit)).length;
  const open = fixers.some((each) => each.usable && each.files.length === 0);
  const reach = open
    ? `whatever ${spec.authority.write.join(", ")} allows`
    : `${touched.size} of ${plural(tracked, "file")}`;
  const usable = fixers.filter((each) => each.usable).length;
  const seal = await describeSeal(context);
  const sealed = `sealed: ${plural(seal.files, "file")}, ${seal.hash.slice(0, 12)} (${spec.seal.policy})`;
  const advice = unclocked(spec.measure.metric);
  return {
    result: { fixers, blastRadius: { files: touched.size, tracked }, seal },
    summary: `${usable} of ${plural(fixers.length, "candidate")} can be tried; blast radius: ${reach}; ${sealed}${advice ? `; ${advice}` : ""}`,
  };
}

async function planOf(
  context: TaskContext,
  ws: Workspace,
  index: number,
  fixer: FixerSpec,
): Promise<FixerPlan> {
  const { brief, artifacts } = context;
  const { name } = fixer;
  if (fixer.kind === "command" || fixer.kind === "cli")
    return { index, name, files: [], usable: true, reason: "only running it can tell" };
  if (fixer.kind === "human" || fixer.kind === "worker")
    return { index, name, files: [], usable: true, reason: "it is supplied when its pass comes" };
  if (fixer.kind === "turns")
    return { index, name, files: [], usable: true, reason: "its conversation begins when its pass comes" };
  try {
    if (fixer.kind === "knobs") return await knobPlanOf(context, ws, index, fixer);
    const patch = fixer.kind === "patch" ? await artifacts.get(fixer.sha256) : null;
    const files = patch
      ? inspectPatch(patch, { name }).files
      : (await diffFiles(ws, brief.lastGood.commit, fixer.kind === "commit" ? fixer.commit : "")).files;
    const outside = forbiddenPaths(files, authorityOf(context));
    if (outside.length > 0)
      return { index, name, files, usable: false, reason: `may not write ${outside.join(", ")}` };
    const made = patch
      ? await patchTree(ws, brief.lastGood.tree, patch, name)
      : fixer.kind === "commit"
        ? fixer.commit
        : brief.lastGood.tree;
    return { index, name, files, usable: true, reason: await sealedReason(context, made) };
  } catch (error) {
    if (!(error instanceof QuestbusError)) throw error;
    return { index, name, files: [], usable: false, reason: faultsOf(error)[0]?.message ?? "cannot be used" };
  }
}

/** Every place is tried with the first setting that comes, so that a wrong one is told before anything is measured. */
async function knobPlanOf(
  context: TaskContext,
  ws: Workspace,
  index: number,
  { name, parameters }: Extract<FixerSpec, { kind: "knobs" }>,
): Promise<FixerPlan> {
  const { written: files, read } = knobFiles(parameters);
  const outside = forbiddenPaths(files, authorityOf(context));
  if (outside.length > 0)
    return { index, name, files, usable: false, reason: `may not write ${outside.join(", ")}` };
  const { commit } = context.brief.lastGood;
  const texts = new Map<string, string | null>();
  for (const path of read) texts.set(path, await readTreeFile(ws, commit, path));
  const [setting = {}] = drawSettings(parameters, { seed: "plan", count: 1 });
  renderKnobs(parameters, setting, texts);
  return { index, name, files, usable: true, reason: `${plural(parameters.length, "parameter")} to search` };
}

/** A candidate that touches what is sealed is tried all the same: its pass says what comes of it. */
async function sealedReason(context: TaskContext, made: string): Promise<string> {
  const { suspicions, setAside } = await reviewDifference(context, made);
  const paths = [
    ...suspicions.map(({ where }) => where ?? ""),
    ...setAside.map(({ path }) => `${path} (set aside)`),
  ];
  return `applies to last known-good${paths.length > 0 ? `; touches what is sealed: ${nameList(paths)}` : ""}`;
}

/** Chooses the fixer of this pass: the first of those left that can be tried. */
async function choose(context: TaskContext): Promise<Outcome<"choose">> {
  const { brief } = context;
  const ws = await context.workspace();
  const dropped = brief.fixersGone.map((index): FixerPlan => {
    const { name = "" } = brief.spec.fixers[index] ?? {};
    return { index, name, files: [], usable: false, reason: "it would fail again as it did" };
  });
  for (const { index, reason } of fixersLeft(brief)) {
    const fixer = brief.spec.fixers[index] as FixerSpec;
    const planned = await planOf(context, ws, index, fixer);
    const hot = brief.analysis && hotShareOf(brief.analysis, planned.files);
    if (planned.usable) return chosen(index, fixer.name, dropped, `${reason}${hot ? `; ${hot}` : ""}`);
    dropped.push(planned);
  }
  const why = dropped.map((each) => `${each.name}: ${each.reason}`).join("; ");
  throw new QuestbusError({
    code: "NO_CANDIDATE_LEFT",
    message: `no candidate is left to try: ${why || "each patch was tried"}`,
    next: "correct what is named, or run a quest with another fixer",
  });
}

function chosen(fixer: number, name: string, dropped: FixerPlan[], reason: string): Outcome<"choose"> {
  const gone = dropped.map((each) => `; dropped ${each.name} (${each.reason})`).join("");
  return { result: { fixer, reason, dropped }, summary: `chose ${name}: ${reason}${gone}` };
}

/** Symbolic links, submodules and the like, found in the difference itself. */
async function forbiddenChanges(ws: Workspace, from: string, to: string): Promise<string[]> {
  try {
    await refuseForbiddenChanges(ws, from, to);
    return [];
  } catch (error) {
    if (!(error instanceof QuestbusError)) throw error;
    return error.faults.map((fault) => fault.message);
  }
}

/**
 * What the seal makes of the candidate, derived anew: what was produced is held against its own commit, and what is
 * judged is that with the sealed paths put back, and nothing else.
 */
async function reviewSealed(context: TaskContext, { commit, tree }: Candidate) {
  const { lastGood, original } = context.brief;
  const ws = await context.workspace();
  const judged = await reviewDifference(context, commit);
  const made = original ? await reviewDifference(context, original) : judged;
  const replacements = original ? made.setAside : [];
  const expected = await putBack(ws, { tree: original ?? commit, from: lastGood.commit, replacements });
  const problems = [
    ...judged.setAside.map(({ path }) => `${path} is sealed, and was not put back`),
    ...(expected === tree ? [] : ["it is not what was produced with the sealed paths put back"]),
  ];
  return { suspicions: made.suspicions, problems };
}

/**
 * Holds the candidate against the plan, and looks for signs that it games its evaluation: the difference is derived
 * anew, not taken from the report.
 */
async function review(context: TaskContext): Promise<Outcome<"review">> {
  const { brief, artifacts } = context;
  const { candidate, lastGood } = brief;
  if (!candidate) throw new RangeError(`${brief.quest}: no candidate to review`);
  const ws = await context.workspace();
  const { files } = await diffFiles(ws, lastGood.commit, candidate.commit);
  const forbidden = await forbiddenChanges(ws, lastGood.commit, candidate.commit);
  const sameTree = (await treeOf(ws, candidate.commit)) === candidate.tree;
  const fixer = chosenFixer(brief);
  const planned =
    fixer.kind === "patch" ? inspectPatch(await artifacts.get(fixer.sha256), fixer).files : files;
  const sealed = await reviewSealed(context, candidate);
  const problems = [
    ...sealed.problems,
    ...(sameTree ? [] : ["the commit has another tree than was reported"]),
    ...forbidden,
    ...files
      .filter((file) => !candidate.files.includes(file))
      .map((file) => `${file} was changed and not reported`),
    ...files.filter((file) => !planned.includes(file)).map((file) => `${file} is not in the plan`),
    ...forbiddenPaths(files, authorityOf(context)).map((file) => `${file} may not be written`),
  ];
  const size = `${plural(files.length, "file")}, +${candidate.linesAdded} -${candidate.linesRemoved} lines`;
  const withinPlan = problems.length === 0;
  const suspicions = [...sealed.suspicions, ...(await scanCandidate(context, ws, candidate.commit))];
  const words = fixer.kind === "commit" ? fixer.commit : candidate.commit;
  const injections = await injectionsOf(ws, { from: lastGood.commit, to: candidate.commit, commit: words });
  const reasons = [...problems, ...suspicions.map((each) => `${each.message} (${each.where})`)];
  return {
    result: {
      files,
      withinPlan,
      touched: await touchedShown(ws, lastGood.commit, candidate.commit),
      ...(injections.length > 0 ? { injections } : {}),
    },
    summary: reasons.length === 0 ? `within the plan: ${size}` : reasons.join("; "),
    signOff:
      reasons.length === 0 ? yes(`touches only what was planned (${size})`) : no(...reasons.slice(0, 16)),
    suspicions,
  };
}
