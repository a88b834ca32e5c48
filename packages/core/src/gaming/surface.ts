import type { Suspicion } from "@questbus/protocol";
import { exportedNames } from "./exported.ts";
import { type Manifest, offered, publicFiles } from "./manifest.ts";
import { fileName, isSource } from "./place.ts";
import { type ScannedFile, suspect } from "./rule.ts";

const keepIt = "keep it, or say in a quest of its own that it goes";
const namesMax = 8;
const list = (names: readonly string[]): string =>
  names.slice(0, namesMax).join(", ") +
  (names.length > namesMax ? ` and ${names.length - namesMax} more` : "");

type Exports = { path: string; base: ReadonlySet<string>; candidate: ReadonlySet<string>; removed: boolean };

/** Source files that were there before, with what they give to others then and now; what cannot be known is left out. */
function readExports(files: readonly ScannedFile[]): Exports[] {
  return files.flatMap(({ path, base, candidate, binary }) => {
    if (base === null || binary || !isSource(path, base)) return [];
    const before = exportedNames(path, base);
    const after = candidate === null ? new Set<string>() : exportedNames(path, candidate);
    return before && after ? [{ path, base: before, candidate: after, removed: candidate === null }] : [];
  });
}

/** A name that another changed file gives now is moved. One that an inner file replaced by a new one is renamed. */
function lostNames({ base, candidate }: Exports, elsewhere: ReadonlySet<string>, open: boolean): string[] {
  const lost = [...base].filter((name) => !candidate.has(name) && !elsewhere.has(name));
  const gained = [...candidate].filter((name) => !base.has(name));
  return open || lost.length > gained.length ? lost : [];
}

/** Names, files and commands that the base gives to others and the candidate does not. */
export function smallerSurface(files: readonly ScannedFile[], manifests: readonly Manifest[]): Suspicion[] {
  const open = publicFiles(
    manifests,
    files.map((each) => each.path),
  );
  const given = files.flatMap(({ path, candidate }) =>
    candidate !== null && isSource(path, candidate)
      ? [{ path, names: exportedNames(path, candidate) ?? [] }]
      : [],
  );
  const lost = readExports(files).flatMap((file) => {
    const others = new Set(
      given.filter((each) => each.path !== file.path).flatMap((each) => [...each.names]),
    );
    const names = lostNames(file, others, open.has(file.path));
    const what = file.removed ? "is removed with what it exports" : "no longer exports";
    return names.length > 0
      ? [suspect("surface", `${file.path} ${what}: ${list(names)}; ${keepIt}`, file.path)]
      : [];
  });
  const gone = files
    .filter(({ path, base, candidate }) => open.has(path) && base !== null && candidate === null)
    .filter(({ path }) => !lost.some((each) => each.where === path) && !isMoved(path, files))
    .map(({ path }) => suspect("surface", `${path} is removed, which package.json names; ${keepIt}`, path));
  return [...lost, ...gone, ...files.flatMap(lostOffers)];
}

/** The package names another file now, so that its users find it as before. */
const isMoved = (path: string, files: readonly ScannedFile[]): boolean =>
  files.some(
    (each) =>
      fileName(each.path) === "package.json" &&
      each.candidate !== null &&
      !each.candidate.includes(fileName(path)),
  );

function lostOffers({ path, base, candidate }: ScannedFile): Suspicion[] {
  if (fileName(path) !== "package.json") return [];
  const now = offered(candidate);
  const lost = [...offered(base)].filter((each) => !now.has(each));
  return lost.length > 0
    ? [suspect("surface", `package.json no longer offers: ${list(lost)}; ${keepIt}`, path)]
    : [];
}
