/**
 * Writes `schemas/*.json` and `schemas/asyncapi.yaml` from the zod contracts of @questbus/protocol, for editors and for
 * agents in other languages.
 * `--check` writes nothing, and exits 1 naming every file that is stale, missing or left over.
 * Owns every file of schemas/; its folder examples/ is written by hand. The same contracts give the same bytes.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  answer,
  commandData,
  envelope,
  eventBody,
  journalRow,
  questDocument,
  report,
} from "@questbus/protocol";
import { z } from "zod";
import { asyncapi } from "./asyncapi.ts";

type JsonObject = Record<string, unknown>;

const folder = join(import.meta.dirname, "..", "schemas");

/** Contracts by the name of their file. `input` is what a sender writes, `output` what a reader is given. */
const contracts: { name: string; title: string; schema: z.ZodType; io: "input" | "output" }[] = [
  { name: "quest", title: "Questbus quest, version 1", schema: questDocument, io: "input" },
  { name: "report", title: "Questbus report of a task, version 1", schema: report, io: "input" },
  { name: "answer", title: "Questbus answer to a command, version 1", schema: answer, io: "output" },
  { name: "envelope", title: "Questbus message, version 1", schema: envelope, io: "input" },
  { name: "row", title: "Questbus row of the journal, version 1", schema: journalRow, io: "output" },
  ...Object.entries(commandData).map(([verb, schema]) => ({
    name: `command.${verb}`,
    title: `Questbus command ${verb}, version 1`,
    schema,
    io: "input" as const,
  })),
  ...Object.entries(eventBody).map(([type, schema]) => ({
    name: `event.${type}`,
    title: `Questbus event ${type}, version 1`,
    schema,
    io: "output" as const,
  })),
];

/** zod cannot show a custom check. The one we have is a fault's code; another one has to be described here first. */
function describeCustom({
  zodSchema,
  jsonSchema,
  path,
}: Parameters<NonNullable<ToJson["override"]>>[0]): void {
  if (zodSchema._zod.def.type !== "custom") return;
  if (path.at(-1) !== "code") throw new Error(`no JSON Schema for the custom check at ${path.join(".")}`);
  jsonSchema.type = "string";
  jsonSchema.pattern = "^[A-Z][A-Z_]*$";
  jsonSchema.description = "A code of docs/errors.md.";
}
type ToJson = NonNullable<Parameters<typeof z.toJSONSchema>[1]>;

/** Draft 7 ignores everything beside a `$ref`, so a contract that is only a reference is put in its place. */
function hoist({ $ref, definitions = {}, ...rest }: { $ref?: string; definitions?: JsonObject }): JsonObject {
  const id = $ref?.replace("#/definitions/", "");
  const { [id ?? ""]: root, ...others } = definitions;
  return {
    ...rest,
    ...(root as JsonObject | undefined),
    ...(Object.keys(others).length > 0 ? { definitions: others } : {}),
  };
}

function render({ name, title, schema, io }: (typeof contracts)[number]): string {
  const made = z.toJSONSchema(schema, {
    target: "draft-07",
    io,
    unrepresentable: "any",
    override: describeCustom,
  });
  const { $schema, title: _, ...body } = hoist(made as JsonObject);
  return `${JSON.stringify({ $schema, $id: `questbus:${name}.v1`, title, ...body }, null, 2)}\n`;
}

const wanted = new Map([
  ...contracts.map((each) => [`${each.name}.v1.schema.json`, render(each)] as const),
  ["asyncapi.yaml", asyncapi()],
]);
mkdirSync(folder, { recursive: true });
const present = new Map(
  readdirSync(folder)
    .filter((file) => /\.(json|yaml)$/.test(file))
    .map((file) => [file, readFileSync(join(folder, file), "utf8")]),
);

const extra = [...present.keys()].filter((file) => !wanted.has(file));
const outdated = [...wanted].filter(([file, text]) => present.get(file) !== text);

if (process.argv.includes("--check")) {
  const wrong = [
    ...outdated.map(([file]) => `${present.has(file) ? "stale" : "missing"}: schemas/${file}`),
    ...extra.map((file) => `left over: schemas/${file}`),
  ].sort();
  if (wrong.length > 0) {
    process.stderr.write(`${wrong.join("\n")}\n  next: npm run schemas\n`);
    process.exit(1);
  }
  process.stdout.write(`schemas/: all ${wanted.size} files are fresh\n`);
} else {
  for (const file of extra) rmSync(join(folder, file));
  for (const [file, text] of outdated) writeFileSync(join(folder, file), text);
  process.stdout.write(
    `schemas/: ${wanted.size} files, ${outdated.length} written, ${extra.length} removed\n`,
  );
}
