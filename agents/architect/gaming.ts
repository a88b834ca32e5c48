import type { TaskContext } from "@questbus/agent";
import { evaluatorNames, filesIn, scanChange, sealRule } from "@questbus/core";
import type { Suspicion } from "@questbus/protocol";
import { changedTexts, listFiles, textsAt, type Workspace } from "@questbus/workbench";

/** What looks like gaming in the candidate, read from the repository itself. */
export async function scanCandidate(
  { brief }: TaskContext,
  ws: Workspace,
  candidate: string,
): Promise<Suspicion[]> {
  const { spec, lastGood } = brief;
  const tracked = new Set((await listFiles(ws, lastGood.commit)).map(({ path }) => path));
  const manifestPaths = [...tracked].filter((path) =>
    /^(?:(?!node_modules\/).+\/)?package\.json$/.test(path),
  );
  const manifests = [...(await textsAt(ws, lastGood.commit, manifestPaths))].map(([path, text]) => ({
    path,
    text,
  }));
  const commands = [spec.measure.command, spec.tests.command];
  const kindOf = sealRule({ ...spec, packages: manifests });
  const sealed = (path: string): boolean => kindOf(path) !== null;
  const files = commands.flatMap((command) => filesIn(command, tracked, manifests)).filter(sealed);
  return scanChange({
    files: await changedTexts(ws, lastGood.commit, candidate),
    manifests,
    evaluator: evaluatorNames(await textsAt(ws, lastGood.commit, files)),
    sealed,
    allowDependencies: spec.allow.dependencies !== false,
  });
}
