import { cpSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";

/** What becomes of one file: a new text, a removal, a link, or replacements of texts that it has. */
export type FileEdit = string | null | { link: string } | readonly (readonly [from: string, to: string])[];

/** A change to a target, as somebody would hand it in. */
export type Change = { name: string; target: TargetName; edits: Readonly<Record<string, FileEdit>> };

/** `orders` stands beside this file, `access-report` in examples/. */
export type TargetName = "orders" | "access-report";

const root = resolve(import.meta.dirname, "../..");
const folders: Readonly<Record<TargetName, string>> = {
  orders: join(root, "test/gaming/targets/orders"),
  "access-report": join(root, "examples/access-report"),
};

/** Copies a target to `dir`, as it is before anything is changed. */
export const layTarget = (name: TargetName, dir: string): void =>
  cpSync(folders[name], dir, { recursive: true, filter: (path) => !path.endsWith("access.log") });

/** Makes the change in a checked-out target. */
export function makeChange(dir: string, { name, edits }: Change): void {
  for (const [path, edit] of Object.entries(edits)) {
    const file = join(dir, path);
    mkdirSync(dirname(file), { recursive: true });
    if (edit === null) rmSync(file);
    else if (typeof edit === "string") writeFileSync(file, edit);
    else if ("link" in edit) {
      rmSync(file, { force: true });
      symlinkSync(edit.link, file);
    } else writeFileSync(file, replaced(name, path, readFileSync(file, "utf8"), edit));
  }
}

function replaced(
  name: string,
  path: string,
  text: string,
  edits: readonly (readonly [string, string])[],
): string {
  return edits.reduce((now, [from, to]) => {
    if (!now.includes(from)) throw new RangeError(`${name}: ${path} has no ${from}`);
    return now.replace(from, () => to);
  }, text);
}
