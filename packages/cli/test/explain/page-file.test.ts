import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { openPlace, type Place } from "@questbus/testkit";
import { afterAll, beforeAll, expect, test } from "vitest";
import { explanationPage } from "../../src/explain/page.ts";
import { writePage } from "../../src/explain/page-file.ts";
import { viewOf } from "./view.ts";

let place: Place;
beforeAll(() => {
  place = openPlace("page-file");
});
afterAll(() => place.close());

const page = explanationPage(viewOf(null));

test("a page of this command is replaced, and only a whole one is ever there", () => {
  const path = place.path("own.html");
  expect(writePage(path, page, false)).toBe(path);
  writePage(path, page.replace("Faster", "Again"), false);
  expect(readFileSync(path, "utf8")).toContain("Again");
  expect(readdirSync(place.dir).filter((name) => name.endsWith(".part"))).toEqual([]);
});

test("any other file stays as it is, unless it is forced", () => {
  const path = place.path("notes.html");
  writeFileSync(path, "<p>mine</p>");
  expect(() => writePage(path, page, false)).toThrow(expect.objectContaining({ code: "FILE_EXISTS" }));
  expect(readFileSync(path, "utf8")).toBe("<p>mine</p>");
  writePage(path, page, true);
  expect(readFileSync(path, "utf8")).toBe(page);
});

test("a folder, and a place that is not there, are refused with the place named", () => {
  const dir = place.path("folder");
  mkdirSync(dir);
  for (const path of [dir, place.path("none", "page.html")]) {
    expect(() => writePage(path, page, true)).toThrow(
      expect.objectContaining({ code: "FILE_UNUSABLE", message: expect.not.stringContaining(".part") }),
    );
  }
});
