import { statSync } from "node:fs";
import { QuestbusError } from "@questbus/protocol";
import { wayOut } from "./failure.ts";
import type { Sql } from "./sql.ts";
import { verifyTail } from "./verify.ts";

/**
 * What the writer looks at before it goes on with a database: damage that the next write would build on.
 *
 * It must not grow with the state: the pages of a database up to `checkedWholeBytesMax` are all read (a tenth of a
 * second), of a larger one only those that opening it touches; the last rows of the journal are checked against their
 * hashes whatever its size. All pages of any size are checked by every backup, and all rows by `questbus audit verify`.
 */

const checkedWholeBytesMax = 33_554_432;
const tailRows = 1_000;

/** The first damage that SQLite finds in the structure of its file; null when there is none. */
function damageOf(sql: Sql): string | null {
  const found = sql.get<Record<string, string>>("PRAGMA quick_check(1)");
  const text = found && Object.values(found)[0];
  return text === "ok" ? null : (text ?? "it says nothing").replace(/\s+/g, " ");
}

/** @throws QuestbusError STATE_BROKEN or AUDIT_BROKEN */
export function assertSound(sql: Sql, installation: string): void {
  const damage = statSync(sql.path).size <= checkedWholeBytesMax ? damageOf(sql) : null;
  if (damage) {
    throw new QuestbusError({
      code: "STATE_BROKEN",
      message: `the database is damaged: ${damage}`,
      where: sql.path,
      next: wayOut,
    });
  }
  const tail = verifyTail(sql, installation, tailRows);
  if (tail.ok) return;
  throw new QuestbusError({
    code: "AUDIT_BROKEN",
    message: tail.faults[0]?.what ?? "the journal does not hold",
    where: sql.path,
    next: `run questbus audit verify for all of it; to go on, ${wayOut}`,
  });
}
