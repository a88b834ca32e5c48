import { injectionKinds } from "@questbus/protocol";
import { honest, injections } from "@questbus/testkit/injection-corpus";
import fc from "fast-check";
import { expect, test } from "vitest";
import { suspectText } from "../../src/injection/suspect.ts";

test("texts that speak to their reader show signs, most of them; honest ones show none, nearly all", () => {
  const missed = injections.filter(({ text }) => suspectText(text).length === 0).map(({ text }) => text);
  const alarms = honest
    .filter((text) => suspectText(text).length > 0)
    .map((text) => `${text} ${suspectText(text)}`);
  expect(injections.length).toBeGreaterThanOrEqual(30);
  expect(honest.length).toBeGreaterThanOrEqual(100);
  expect(missed.length / injections.length).toBeLessThanOrEqual(0.1);
  expect(alarms.length / honest.length).toBeLessThanOrEqual(0.02);
});

test("any text is looked at, and each kind is named once", () => {
  fc.assert(
    fc.property(
      fc.string({
        unit: fc.constantFrom(
          "ignore ",
          "all ",
          "rules",
          "you are now ",
          "\n",
          "\u200B",
          "é",
          "system:",
          " ",
        ),
      }),
      (text) => {
        const kinds = suspectText(text);
        expect(kinds).toEqual(injectionKinds.filter((kind) => kinds.includes(kind)));
      },
    ),
  );
});
