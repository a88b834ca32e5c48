import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  durationText,
  limit,
  parseDurationMs,
  parsePercent,
  percent,
  percentText,
  signedPercent,
} from "../src/index.ts";

const messagesOf = (result: {
  success: boolean;
  error?: { issues: { message: string }[] } | undefined;
}): string[] => result.error?.issues.map(({ message }) => message) ?? [];

describe("durations", () => {
  test.each([
    ["1ms", 1],
    ["500ms", 500],
    ["60s", 60_000],
    ["1.5s", 1_500],
    ["0.5h", 1_800_000],
    ["10m", 600_000],
    ["2h", 7_200_000],
    ["168h", limit.durationMsMax],
    ["007s", 7_000],
  ])("%s is %i ms", (text, ms) => {
    expect(durationText.parse(text)).toBe(text);
    expect(parseDurationMs(text)).toBe(ms);
  });

  const form = "write a duration such as 500ms, 60s, 10m or 2h";
  const zero = "a duration must be more than zero";
  const long = "a duration must be at most 168h (seven days)";
  test.each([
    ["", form],
    ["60", form],
    ["s", form],
    ["60 s", form],
    [" 60s", form],
    ["60s\n", form],
    ["-1s", form],
    ["+1s", form],
    ["1e3s", form],
    ["1.s", form],
    [".5s", form],
    ["1,5s", form],
    ["1d", form],
    ["1S", form],
    ["1h30m", form],
    ["soon", form],
    ["0s", zero],
    ["0.0s", zero],
    ["0.4ms", zero],
    ["168.1h", long],
    ["99999999999999999999h", long],
  ])("%j is refused: %s", (text, message) => {
    expect(messagesOf(durationText.safeParse(text))).toEqual([message]);
  });

  test("what is not text is refused", () => {
    for (const value of [60, null, undefined, {}, ["60s"]])
      expect(durationText.safeParse(value).success).toBe(false);
  });

  test("parseDurationMs throws on what is no duration", () => {
    expect(() => parseDurationMs("soon")).toThrow(RangeError);
  });

  test("whatever is accepted gives whole milliseconds that a timer holds", () => {
    const number = fc.oneof(
      fc.nat(2_000_000).map(String),
      fc.double({ min: 0, max: 1e6, noNaN: true }).map((x) => x.toFixed(3)),
    );
    const text = fc.tuple(number, fc.constantFrom("ms", "s", "m", "h")).map((parts) => parts.join(""));
    fc.assert(
      fc.property(fc.oneof(text, fc.string()), (each) => {
        if (!durationText.safeParse(each).success) return;
        const ms = parseDurationMs(each);
        expect(Number.isSafeInteger(ms) && ms > 0 && ms <= limit.durationMsMax).toBe(true);
      }),
    );
  });

  test("the same time in other units is the same", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 168 }), (hours) => {
        expect(parseDurationMs(`${hours * 60}m`)).toBe(parseDurationMs(`${hours}h`));
        expect(parseDurationMs(`${hours * 3_600}s`)).toBe(parseDurationMs(`${hours}h`));
      }),
    );
  });
});

describe("percentages", () => {
  test.each([
    ["20%", 0.2],
    ["20 %", 0.2],
    ["0%", 0],
    ["0.5%", 0.005],
    ["99.9%", 0.999],
  ])("%s is %d", (text, fraction) => {
    expect(percentText.parse(text)).toBe(text);
    expect(parsePercent(text)).toBeCloseTo(fraction, 12);
  });

  const form = "write a percentage such as 20%";
  test.each([
    ["", form],
    ["20", form],
    ["%", form],
    ["-5%", form],
    ["+5%", form],
    ["5%%", form],
    ["5  %", form],
    ["5% ", form],
    ["1e1%", form],
    [".5%", form],
    ["1,5%", form],
    ["twenty%", form],
    ["100%", "a percentage must be below 100%"],
    ["250%", "a percentage must be below 100%"],
  ])("%j is refused: %s", (text, message) => {
    expect(messagesOf(percentText.safeParse(text))).toEqual([message]);
  });

  test("parsePercent throws on what is no percentage", () => {
    expect(() => parsePercent("a lot")).toThrow(RangeError);
  });

  test("whatever is accepted is a fraction from 0 up to 1", () => {
    const text = fc.double({ min: 0, max: 200, noNaN: true }).map((x) => `${x.toFixed(4)}%`);
    fc.assert(
      fc.property(fc.oneof(text, fc.string()), (each) => {
        if (!percentText.safeParse(each).success) return;
        const fraction = parsePercent(each);
        expect(fraction >= 0 && fraction < 1).toBe(true);
      }),
    );
  });
});

describe("percentages for people", () => {
  test.each([
    [0.2, "20 %", "+20.0 %"],
    [0.1234, "12.3 %", "+12.3 %"],
    [-0.05, "-5 %", "-5.0 %"],
    [0, "0 %", "+0.0 %"],
    [-0.0004, "0 %", "+0.0 %"],
  ])("%s is %s, as a change %s", (fraction, plain, change) => {
    expect(percent(fraction)).toBe(plain);
    expect(signedPercent(fraction)).toBe(change);
  });
});
