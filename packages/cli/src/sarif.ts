import type { Fault } from "@questbus/protocol";

/** One thing that is wrong in a file. */
export type Finding = Fault & { level: "error" | "warning"; file: string; line: number; column: number };

/** Findings as SARIF 2.1.0, which code hosts show beside the lines. */
export const sarif = (findings: readonly Finding[]): object => ({
  $schema: "https://json.schemastore.org/sarif-2.1.0.json",
  version: "2.1.0",
  runs: [
    {
      tool: {
        driver: {
          name: "questbus agents lint",
          rules: [...new Set(findings.map(({ code }) => code))].map((id) => ({ id })),
        },
      },
      columnKind: "utf16CodeUnits",
      results: findings.map(({ code, level, message, next, file, line, column }) => ({
        ruleId: code,
        level,
        message: { text: next ? `${message}. ${next}` : message },
        locations: [
          {
            physicalLocation: {
              artifactLocation: { uri: encodeURI(file.replaceAll("\\", "/")) },
              region: { startLine: line, startColumn: column },
            },
          },
        ],
      })),
    },
  ],
});
