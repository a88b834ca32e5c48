import { defineConfig } from "vitest/config";

/** Packages that are decisions alone: their tests load the same modules, and leave nothing running. */
const pure = ["packages/{core,protocol}/test/**/*.test.ts"];

export default defineConfig({
  test: {
    // With a third, tests of processes that bound a time by another one fail now and then on two cores.
    maxWorkers: 2,
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
