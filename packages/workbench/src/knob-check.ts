import {
  type Fault,
  type FixerSpec,
  faultsOf,
  forbiddenPaths,
  type Knob,
  type QuestSpec,
} from "@questbus/protocol";
import { readTreeFile } from "./tree-file.ts";
import type { Workspace } from "./workspace.ts";

/**
 * What can be known of the places of parameters before anything runs: their files are plain files of the commit that
 * the quest starts from, and may be written. Whether a key is in its file, the architect says.
 */
export async function knobFaults(ws: Workspace, spec: QuestSpec): Promise<Fault[]> {
  const faults: Fault[] = [];
  for (const [at, fixer] of spec.fixers.entries()) {
    for (const [index, knob] of parametersOf(fixer).entries())
      faults.push(
        ...(await faultsAt(ws, spec, knob, `fixers[${at}].knobs.parameters[${index}].${knob.place.kind}`)),
      );
  }
  return faults;
}

const parametersOf = (fixer: FixerSpec): readonly Knob[] => (fixer.kind === "knobs" ? fixer.parameters : []);

async function faultsAt(
  ws: Workspace,
  spec: QuestSpec,
  { name, place }: Knob,
  where: string,
): Promise<Fault[]> {
  if (forbiddenPaths([place.file], spec.authority).length > 0) {
    const message = `${name} is written to ${place.file}, which the performance role may not write`;
    const next = "name another file, or widen authorities.performance";
    return [{ code: "PATH_FORBIDDEN", message, where: `${where}.file`, next }];
  }
  const wanted = place.kind === "template" ? [place.from] : [];
  if (!place.create) wanted.push(place.file);
  const faults: Fault[] = [];
  for (const path of new Set([...wanted, place.file])) {
    const key = path === place.file ? "file" : "from";
    try {
      if ((await readTreeFile(ws, ws.commit, path)) !== null || !wanted.includes(path)) continue;
      const message = `${name} cannot be written: the target's commit has no file ${path}`;
      const next =
        "correct the path; it starts at the target's root. What is not there yet needs create: true";
      faults.push({ code: "KNOB_PLACE_MISSING", message, where: `${where}.${key}`, next });
    } catch (error) {
      faults.push(...faultsOf(error).map((fault) => ({ ...fault, where: `${where}.${key}` })));
    }
  }
  return faults;
}
