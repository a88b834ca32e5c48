#!/usr/bin/env node
// Starts the command line on a Node that can run it; old Nodes read this file too, so it stays plain CommonJS.
const { spawn } = require("node:child_process");
const { existsSync } = require("node:fs");
const path = require("node:path");

const root = path.join(__dirname, "..", "..", "..");
const main = path.join(__dirname, "..", "src", "main.ts");
const [major, minor] = process.versions.node.split(".").map(Number);

function startOnBundledNode() {
  const node = path.join(root, "node_modules", `node-${process.platform}-${process.arch}`, "bin", "node");
  if (!existsSync(node)) {
    process.stderr.write(
      `error NODE_TOO_OLD: Questbus needs Node 24.11 or newer; this is ${process.version}.\n  next: run "npm run setup" in ${root}\n`,
    );
    process.exit(1);
  }
  const child = spawn(node, [__filename, ...process.argv.slice(2)], { stdio: "inherit" });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  child.on("exit", (code) => process.exit(code === null ? 130 : code));
}

function startHere() {
  require("node:module").enableCompileCache(path.join(root, "node_modules", ".cache", "compile"));
  import(main);
}

if (major > 24 || (major === 24 && minor >= 11)) startHere();
else startOnBundledNode();
