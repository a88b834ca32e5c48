import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { QuestbusError } from "@questbus/protocol";
import type { Sql } from "./sql.ts";

/**
 * Brings the database's schema up to date.
 *
 * Migrations are the numbered SQL files of `migrations/`; one is never changed once it was released. The database
 * keeps each one's checksum, and `user_version` is the number of the last.
 */

const shippedDir = fileURLToPath(new URL("../migrations/", import.meta.url));

/** "QBUS": tells our databases from those of other programs. */
const applicationId = 0x51425553;

export type Migration = { version: number; name: string; checksum: string; text: string };

/** The migrations of a folder in order; their numbers must run from 1 without a gap. */
export function migrationsIn(dir: string = shippedDir): Migration[] {
  const names = readdirSync(dir).filter((name) => name.endsWith(".sql"));
  return names.sort().map((name, at) => {
    const version = Number(/^(\d{4})-/.exec(name)?.[1]);
    if (version !== at + 1) throw new Error(`migration ${name} is out of order`);
    const text = readFileSync(join(dir, name), "utf8");
    return { version, name, text, checksum: createHash("sha256").update(text).digest("hex") };
  });
}

const broken = (path: string, message: string, next: string): QuestbusError =>
  new QuestbusError({ code: "STATE_BROKEN", message, where: path, next });

/** The schema version of the database, 0 when it is empty; refuses what is newer or not ours. */
export function schemaVersion(sql: Sql, migrations: readonly Migration[]): number {
  const version = sql.get<{ user_version: number }>("PRAGMA user_version")?.user_version ?? 0;
  const application = sql.get<{ application_id: number }>("PRAGMA application_id")?.application_id ?? 0;
  const tables = sql.get<{ n: number }>("SELECT count(*) AS n FROM sqlite_schema")?.n ?? 0;
  if (version === 0 && application === 0 && tables === 0) return 0;
  if (application !== applicationId || version < 1) {
    throw broken(sql.path, "this is not a database of Questbus", "start with another --state DIR");
  }
  if (version > migrations.length) {
    throw new QuestbusError({
      code: "STATE_NEWER",
      message: `the state was written by a newer Questbus (schema ${version}; this one knows ${migrations.length})`,
      where: sql.path,
      next: "update Questbus, or start with another --state DIR",
    });
  }
  return version;
}

/** Every migration that was applied must be the one that this release carries. */
export function assertMigrationsHold(sql: Sql, migrations: readonly Migration[], version: number): void {
  const applied = sql.all<{ version: number; name: string; checksum: string }>(
    "SELECT version, name, checksum FROM migration ORDER BY version",
  );
  for (const expected of migrations.slice(0, version)) {
    const found = applied[expected.version - 1];
    if (found?.version === expected.version && found.checksum === expected.checksum) continue;
    throw broken(
      sql.path,
      `migration ${expected.name} is not the one that was applied to this state`,
      "use the release of Questbus that wrote it, or restore the migration's file",
    );
  }
}

/** Applies what is missing, each migration in the caller's transaction. */
export function applyMigrations(sql: Sql, missing: readonly Migration[], nowMs: number): void {
  for (const { version, name, checksum, text } of missing) {
    sql.exec(text);
    sql.run(
      "INSERT INTO migration (version, name, checksum, applied_ms) VALUES (@version, @name, @checksum, @nowMs)",
      { version, name, checksum, nowMs },
    );
    sql.exec(`PRAGMA user_version = ${version}`);
    sql.exec(`PRAGMA application_id = ${applicationId}`);
  }
}
