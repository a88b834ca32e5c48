import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type CommandData, commandData } from "@questbus/protocol";

/**
 * Reports that were sent and not answered, each in a file named by its command's id. What an agent found is lost neither
 * by its own death nor by that of everybody else; whether it still counts, the orchestrator says.
 */
export type Spool = {
  put(id: string, report: CommandData["report"]): void;
  drop(id: string): void;
  list(): { id: string; report: CommandData["report"] }[];
};

export function openSpool(dir: string): Spool {
  const fileOf = (id: string): string => join(dir, `${id}.json`);
  return {
    put(id, report) {
      mkdirSync(dir, { recursive: true, mode: 0o700 });
      const fresh = `${fileOf(id)}.new`;
      writeFileSync(fresh, JSON.stringify(report), { mode: 0o600, flush: true });
      renameSync(fresh, fileOf(id));
    },
    drop: (id) => rmSync(fileOf(id), { force: true }),
    list() {
      mkdirSync(dir, { recursive: true, mode: 0o700 });
      // Of a process that died before it was whole: its report was not sent.
      for (const file of readdirSync(dir).filter((each) => each.endsWith(".json.new")))
        rmSync(join(dir, file), { force: true });
      return readdirSync(dir)
        .filter((file) => file.endsWith(".json"))
        .flatMap((file) => {
          const read = commandData.report.safeParse(parsed(readFileSync(join(dir, file), "utf8")));
          if (read.success) return [{ id: file.slice(0, -".json".length), report: read.data }];
          rmSync(join(dir, file), { force: true });
          return [];
        });
    },
  };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
