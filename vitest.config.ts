import { defineConfig } from "vitest/config";

/** Packages that are decisions alone: their tests load the same modules, and leave nothing running. */
const pure = ["packages/{core,protocol}/test/**/*.test.ts"];

export default defineConfig({
  test: {
    // More than the two cores of the smallest machine: who waits for a lease, a load or a process to end uses none.
    maxWorkers: 3,
    projects: [
      {
        extends: true,
        test: {
          name: "processes",
          include: ["packages/*/test/**/*.test.ts", "agents/*/*.test.ts", "test/**/*.test.ts"],
          exclude: ["**/node_modules/**", ...pure],
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      // A process of its own for each file took more than half of the processor time of these.
      {
        extends: true,
        test: { name: "pure", include: pure, isolate: false, testTimeout: 60_000, hookTimeout: 60_000 },
      },
    ],
  },
});
