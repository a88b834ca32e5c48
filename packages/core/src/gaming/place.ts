/** What a changed path is, as far as the gaming guard treats it differently. */

export type Language = "js" | "python" | "ruby" | "go" | "rust" | "shell" | "awk" | "other";

const languages: Record<string, Language> = {
  ...Object.fromEntries(
    ["js", "mjs", "cjs", "jsx", "ts", "mts", "cts", "tsx", "vue", "svelte"].map((each) => [each, "js"]),
  ),
  ...Object.fromEntries(["py", "pyx", "pyi"].map((each) => [each, "python"])),
  ...Object.fromEntries(["sh", "bash", "zsh", "ksh"].map((each) => [each, "shell"])),
  ...Object.fromEntries(
    ["java", "kt", "c", "h", "cc", "cpp", "hpp", "cs", "swift", "php"].map((each) => [each, "go"]),
  ),
  rb: "ruby",
  go: "go",
  rs: "rust",
  awk: "awk",
} as Record<string, Language>;

const dataExtensions =
  /\.(?:json5?|jsonl|ndjson|csv|tsv|txt|xml|ya?ml|dat|data|bin|msgpack|cbor|pb|avro|parquet|sqlite3?|db|gz|br|zst|zip|log|html?)$/i;
const documents =
  /(?:\.(?:md|mdx|rst|adoc)|(?:^|\/)(?:LICEN[CS]E|NOTICE|AUTHORS|README|CHANGELOG)(?:\.\w+)?)$/i;
const baseName = (path: string): string => path.slice(path.lastIndexOf("/") + 1);

const languageByName = (path: string): Language | undefined => {
  const name = baseName(path).toLowerCase();
  return name.includes(".") ? languages[name.slice(name.lastIndexOf(".") + 1)] : undefined;
};

/** The language of a path by its name; scripts without an extension by their first line. */
export function languageOf(path: string, text: string): Language {
  const known = languageByName(path);
  if (known) return known;
  const name = baseName(path).toLowerCase();
  if (!name.includes(".") && text.startsWith("#!")) {
    const first = text.slice(0, 80).split("\n", 1)[0] as string;
    if (/\bnode\b|\bdeno\b|\bbun\b/.test(first)) return "js";
    if (/python/.test(first)) return "python";
    if (/ruby/.test(first)) return "ruby";
    if (/awk/.test(first)) return "awk";
    return "shell";
  }
  return /^(?:makefile|dockerfile|gemfile|rakefile)$/.test(name) ? "shell" : "other";
}

/** `README.mjs` is a program, whatever it is called. */
export const isDocument = (path: string): boolean => documents.test(path) && !languageByName(path);

/** A file of values, which no language runs. */
export const isData = (path: string): boolean => dataExtensions.test(path) && !isDocument(path);

/** A file that a program of the target is, or is built of. */
export const isSource = (path: string, text: string): boolean =>
  !isDocument(path) && !isData(path) && languageOf(path, text) !== "other";

export const fileName = baseName;
