import { limit, type SealSpec, type Suspicion } from "@questbus/protocol";
import { changedSettings, holdsSettings, withSettingsOf } from "./package-settings.ts";
import { type SealKind, type SealRules, sealRule } from "./sealed-path.ts";
import { type FileEdit, weakenings } from "./weakened.ts";

/**
 * What the seal makes of a change. A function of the quest's rules and the difference itself, so that whoever holds
 * both finds the same.
 *
 * S1  Under `strict` every touch of what is sealed is a sign of gaming, and so is a new file in a sealed place.
 * S2  Under `restore` it is set aside, and the rest is judged; only new files in the places of tests stay.
 * S3  What weakens a sealed test is a sign of gaming under both.
 */

/** How a path stands in the judged tree; `text`: with this content. */
export type SetAside = { path: string; as: "before" | "absent" | { text: string } };

export type SealFinding = {
  suspicions: Suspicion[];
  /** What is put back before the change is judged; sorted by path. */
  setAside: SetAside[];
  /** New test files that stay, and are run. */
  addedTests: string[];
};

const kindText: Record<SealKind, string> = {
  test: "the tests",
  bench: "the bench",
  lockfile: "a lockfile",
  config: "settings of tests or bench",
  command: "what a command of the quest runs",
  quest: "named by seal.paths",
};

const hint: Partial<Record<SealKind, string>> = {
  lockfile: "; allow: { dependencies: true } lets it",
  command: "; if that is the program itself, name it in seal.except or in authorities",
};

type Touch = FileEdit & { kind: SealKind };

/** A suspicion for each finding, as many as a report carries; the last one counts the rest. */
function told(found: readonly { message: string; where: string }[]): Suspicion[] {
  const shown = found.slice(0, limit.suspicionsMax);
  const more = found.length - shown.length;
  return shown.map(({ message, where }, at) => ({
    kind: "sealed-edit",
    message: at === shown.length - 1 && more > 0 ? `${message}, and ${more} more like this` : message,
    where: where.slice(0, limit.placeCharsMax),
  }));
}

function touchText({ before, after, kind }: Touch): string {
  const how = before === null ? "adds to" : after === null ? "removes" : "changes";
  return `The candidate ${how} what is sealed: ${kindText[kind]}${hint[kind] ?? ""}`;
}

type Split = { touched: Touch[]; settings: (FileEdit & { keys: string[] })[] };

function split(edits: readonly FileEdit[], rules: SealRules): Split {
  const [kindOf, isSettings] = [sealRule(rules), holdsSettings(rules)];
  const touched = edits.flatMap((edit) => {
    const kind = kindOf(edit.path);
    return kind ? [{ ...edit, kind }] : [];
  });
  const settings = edits.flatMap((edit) => {
    if (kindOf(edit.path) || !isSettings(edit.path)) return [];
    const keys = changedSettings(edit.before, edit.after);
    return keys.length > 0 ? [{ ...edit, keys }] : [];
  });
  return { touched, settings };
}

const byPath = (one: { path: string }, other: { path: string }): number => (one.path < other.path ? -1 : 1);

function strictly({ touched, settings }: Split): Suspicion[] {
  return told([
    ...touched.map((touch) => ({ message: touchText(touch), where: touch.path })),
    ...settings.map(({ path, keys }) => ({
      message: `The candidate changes what is sealed of package.json: ${keys.join(", ")}`,
      where: path,
    })),
  ]);
}

/** New tests stay; what else is new in a sealed place is left out. */
const isAddedTest = ({ before, kind }: Touch): boolean => before === null && kind === "test";

function weakened({ touched }: Split): Suspicion[] {
  const tests = touched.filter(({ kind }) => kind === "test" || kind === "command");
  return told(
    weakenings(tests).map(({ path, line, what }) => ({
      message: `The candidate weakens a sealed test: it ${what}`,
      where: line === null ? path : `${path}:${line}`,
    })),
  );
}

/**
 * @param edits every file that differs between last known-good and the candidate; of those whose content the seal does
 * not look at, the texts may be left out (empty)
 */
export function reviewSeal(edits: readonly FileEdit[], rules: SealRules): SealFinding {
  const found = split(edits, rules);
  if (rules.seal.policy === ("strict" satisfies SealSpec["policy"]))
    return { suspicions: strictly(found), setAside: [], addedTests: [] };
  const putBack = found.touched
    .filter((touch) => !isAddedTest(touch))
    .map(({ path, before }): SetAside => ({ path, as: before === null ? "absent" : "before" }));
  const merged = found.settings.map(({ path, before, after }): SetAside => {
    const text = withSettingsOf(before, after);
    return { path, as: text === null ? "before" : { text } };
  });
  return {
    suspicions: weakened(found),
    setAside: [...putBack, ...merged].sort(byPath),
    addedTests: found.touched.filter(isAddedTest).map(({ path }) => path),
  };
}
