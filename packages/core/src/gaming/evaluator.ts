import { type Manifest, scriptOf } from "./manifest.ts";
import { fileName } from "./place.ts";

/** What judges a candidate, by name: a program that mentions it knows that it is judged. */
export type Evaluator = {
  /** The files that the commands of measure and tests name. */
  files: string[];
  /** Names of data that they read. */
  data: string[];
};

/** Paths of the target that a command names, what `npm run` stands for included. */
export function filesIn(
  command: string,
  tracked: ReadonlySet<string>,
  manifests: readonly Manifest[],
): string[] {
  const words = scriptOf(command, manifests).split(/[\s"'=;&|()<>]+/);
  const paths = words.map((word) => word.replace(/^(?:\.\/)+/, "")).filter((word) => tracked.has(word));
  return [...new Set(paths)];
}

const dataName =
  /["'`](?:\.{0,2}\/)?((?:[\w.-]+\/)*[\w.-]+\.(?!(?:[cm]?[jt]sx?|py|rb|sh|go|rs|awk)["'`])[A-Za-z]\w{1,9})["'`]/g;

/** Files of values that a text names. */
const dataIn = (text: string): string[] => [...text.matchAll(dataName)].map((each) => each[1] as string);

/** A name of fewer characters may stand in any text. */
const nameCharsMin = 6;

/**
 * The names by which a program could recognise what judges it: the files that the quest's commands start, and the data
 * that these read. `texts` has the content of the files.
 */
export function evaluatorNames(texts: ReadonlyMap<string, string>): Evaluator {
  const long = (names: string[]): string[] =>
    [...new Set(names)].filter((each) => each.length >= nameCharsMin);
  return {
    files: [...texts.keys()],
    data: long([...texts.values()].flatMap(dataIn).map(fileName)),
  };
}

/** The names that a new string of a source must not have in it. */
export const namesOf = ({ files, data }: Evaluator): string[] => [
  ...new Set([...files.map(fileName).filter((each) => each.length >= nameCharsMin), ...data]),
];
