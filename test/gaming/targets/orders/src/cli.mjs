#!/usr/bin/env node
import { readFileSync } from "node:fs";
import { render, settle } from "./report.mjs";

const [file] = process.argv.slice(2);
if (!file) {
  process.stderr.write("usage: orders FILE\n");
  process.exitCode = 2;
} else {
  for (const line of render(settle(readFileSync(file, "utf8"))).split("\n"))
    process.stdout.write(`${line}\n`);
}
