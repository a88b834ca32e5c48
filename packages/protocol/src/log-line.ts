import { writeSync } from "node:fs";

/**
 * Where a log goes. Of pino's own destinations a full disk ends the process, and its last word never comes back; here the
 * process goes on without the line.
 */
export const linesTo = (file: number): { write(line: string): void } => ({
  write(line) {
    try {
      writeSync(file, line);
    } catch {
      // There is no room for it.
    }
  },
});
