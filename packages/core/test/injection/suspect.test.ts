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

const signs = injections
  .map(({ text }) => ({ text, kinds: suspectText(text) }))
  .filter(({ kinds }) => kinds[0]);

test("any text is looked at, and has the signs of each of its parts, once, in their order", () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...signs), { maxLength: 4 }), fc.string(), (parts, between) => {
      // A text that opens nothing between two: what they show together is more than what each does alone, never less.
      const kinds = suspectText(
        parts.map(({ text }) => text).join(`\n\n.${between.replaceAll(/\W/g, "")}\n\n`),
      );
      const wanted = injectionKinds.filter((kind) => parts.some((part) => part.kinds.includes(kind)));
      expect(kinds).toEqual(expect.arrayContaining(wanted));
      expect(kinds).toEqual([...new Set(kinds)]);
      expect(kinds.map((kind) => injectionKinds.indexOf(kind))).toEqual(
        kinds.map((kind) => injectionKinds.indexOf(kind)).sort((one, other) => one - other),
      );
    }),
  );
});
