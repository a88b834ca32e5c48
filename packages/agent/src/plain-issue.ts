import type { z } from "zod";

/** What zod expects, in the words of who writes a file. */
const kinds: Record<string, string> = {
  string: "text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  array: "a list",
  object: "a map of keys and values",
  record: "a map of keys and values",
};

export const kindText = (expected: string): string => kinds[expected] ?? expected;

function inputText(input: unknown): string {
  if (input === null || input === undefined) return "nothing";
  if (Array.isArray(input)) return "a list";
  return kindText(typeof input);
}

const partOf: Record<string, string> = { array: " items", string: " characters" };

/** Words for the issues that zod has only its own for; a schema that says its own keeps them. */
export const plainIssue: z.core.$ZodErrorMap = (issue) => {
  switch (issue.code) {
    case "invalid_type":
      if (!issue.path?.length && issue.input === null) return "the file is empty";
      return issue.expected === "int" && typeof issue.input === "number"
        ? "write a whole number"
        : `write ${kindText(issue.expected)}, not ${inputText(issue.input)}`;
    case "invalid_value":
      return `write ${issue.values.map(String).join(" or ")}`;
    case "too_small":
      return Number(issue.minimum) === 1 && partOf[issue.origin]
        ? "this must not be empty"
        : `${issue.inclusive ? "at least" : "more than"} ${issue.minimum}${partOf[issue.origin] ?? ""}`;
    case "too_big":
      return `${issue.inclusive ? "at most" : "less than"} ${issue.maximum}${partOf[issue.origin] ?? ""}`;
    default:
      return undefined;
  }
};
