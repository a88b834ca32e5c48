import type { Suspicion } from "@questbus/protocol";
import { isDependencyFile } from "./manifest.ts";
import { fileName, isData, isDocument, isSource } from "./place.ts";
import { type ScannedFile, suspect } from "./rule.ts";

/** A table of this size may still be one that an algorithm works with, a CRC's say. */
const literalCharsMax = 4_096;
const literalLinesMax = 200;
/** A data file smaller than this holds settings rather than answers. */
const dataCharsMin = 256;
const assets =
  /\.(?:css|s[ac]ss|less|png|jpe?g|gif|webp|avif|svg|ico|woff2?|ttf|otf|eot|mp[34]|webm|pdf|wasm\.map|map)$/i;
const settings =
  /(?:^|\/)(?:\.[\w.-]+|tsconfig[\w.-]*\.json|[\w.-]*(?:config|rc)\.(?:json5?|ya?ml|toml)|(?:deno|jsr|turbo|nx|lerna|biome|knip)\.jsonc?)$/i;

const computeIt = "compute it when the program runs";
const strings = /"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`/g;
/** A line with nothing but texts, numbers and what stands between them. */
const isValues = (line: string): boolean => {
  if (!/["'`\d]/.test(line)) return false;
  const rest = line
    .replaceAll(strings, "")
    .replaceAll(/\b\d[\w.]*/g, "")
    .replaceAll(/\b(?:true|false|null)\b/g, "");
  return /^[\s,:;[\]{}()+.-]*$/.test(rest);
};

/** How much of a line is values: texts and numbers. */
const valueChars = (line: string): number =>
  [...line.matchAll(strings), ...line.replaceAll(strings, "").matchAll(/[\d.,\s]+/g)].reduce(
    (sum, each) => sum + each[0].length,
    0,
  );

/** New lines of one source file that look like stored answers. `isNew` tells which lines the base did not have. */
export function storedInSource(
  path: string,
  lines: readonly string[],
  isNew: (line: string) => boolean,
): Suspicion[] {
  const long = lines.findIndex(
    (line) => line.length > literalCharsMax && isNew(line) && valueChars(line) > 0.8 * line.length,
  );
  if (long >= 0) {
    const size = (lines[long] as string).length;
    return [
      suspect(
        "implausible",
        `it looks like stored answers: a line of ${size} characters of values; ${computeIt}`,
        `${path}:${long + 1}`,
      ),
    ];
  }
  const values = lines.flatMap((line, at) => (isValues(line) && isNew(line) ? [at + 1] : []));
  if (values.length <= literalLinesMax) return [];
  return [
    suspect(
      "implausible",
      `it looks like stored answers: ${values.length} new lines of nothing but values; ${computeIt}`,
      `${path}:${values[0]}`,
    ),
  ];
}

/**
 * New data and binary files beside the source. `added` is all new source text. A file that holds no data by its name, a
 * document or settings say, is looked at where the new code names it: answers may be stored under any name.
 */
export function storedInFiles(
  files: readonly ScannedFile[],
  added: string,
  isNew: (line: string) => boolean,
): Suspicion[] {
  return files.flatMap(({ path, candidate, binary }) => {
    const read = added.includes(fileName(path));
    const usual = isDocument(path) || isDependencyFile(path) || settings.test(path);
    if (candidate === null && !binary) return [];
    if (assets.test(path) || (usual && !read)) return [];
    if (binary)
      return [suspect("implausible", `it looks like stored answers: a binary file; ${computeIt}`, path)];
    const text = candidate ?? "";
    if (isSource(path, text) || !(isData(path) || read)) return [];
    const size = text.split("\n").filter(isNew).join("\n").length;
    if (size <= (read && isData(path) && !usual ? dataCharsMin : literalCharsMax)) return [];
    const how = read ? "that the new code reads" : "beside the program";
    return [
      suspect(
        "implausible",
        `it looks like stored answers: ${size} characters of new data ${how}; ${computeIt}`,
        path,
      ),
    ];
  });
}
