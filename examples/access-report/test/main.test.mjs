import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { main } from "../src/main.mjs";

function run(...args) {
  const stream = () => ({
    text: "",
    write(chunk) {
      this.text += chunk;
    },
  });
  const [stdout, stderr] = [stream(), stream()];
  const code = main(args, stdout, stderr);
  return { code, stdout: stdout.text, stderr: stderr.text };
}

test("the report is printed, with --json as the summary", (context) => {
  const folder = mkdtempSync(join(tmpdir(), "access-report-"));
  context.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "access.log");
  writeFileSync(file, '10.0.0.1 - - [12/Mar/2026:06:25:24 +0000] "GET /a HTTP/1.1" 200 5 "-" "-" 0.043\n');
  const { code, stdout, stderr } = run("--json", file);
  assert.equal(code, 0);
  assert.equal(stderr, "");
  assert.deepEqual(JSON.parse(stdout).latency, { p50: 43, p95: 43, p99: 43 });
  assert.match(run(file).stdout, /^ACCESS REPORT\n/);
});

test("a missing file is said so, with exit code 1", () => {
  const { code, stdout, stderr } = run("/nowhere/access.log");
  assert.equal(code, 1);
  assert.equal(stdout, "");
  assert.match(stderr, /cannot read \/nowhere\/access\.log: ENOENT/);
});

test("no file, two files, or an unknown option is exit code 2", () => {
  assert.equal(run().code, 2);
  assert.equal(run("a", "b").code, 2);
  assert.match(run("--what", "x").stderr, /usage: access-report/);
});
