import { closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { median } from "./round.ts";

const flushes = 200;

/** What one flush costs on the disk where the bench keeps its states: 4 KiB written over, and then on the disk; the median. */
export function flushMs(): number {
  const dir = mkdtempSync(join(process.env.BENCH_DATA ?? tmpdir(), "questbus-flush-"));
  const file = openSync(join(dir, "page"), "w");
  const page = Buffer.alloc(4_096, 1);
  try {
    const took = Array.from({ length: flushes }, () => {
      const sinceMs = performance.now();
      writeSync(file, page, 0, page.length, 0);
      fdatasyncSync(file);
      return performance.now() - sinceMs;
    });
    return median(took);
  } finally {
    closeSync(file);
    rmSync(dir, { recursive: true });
  }
}
