// Makes a fresh clone ready: packages, Node 24 and the bundled nats-server. Runs on Node 20 or newer, because
// it runs before anything is installed. Owns node_modules/ and its stamp; changes nothing else.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const modules = join(root, "node_modules");
const stampFile = join(modules, ".questbus-setup");
const platform = `${process.platform}-${process.arch}`;
const supported = ["linux-x64", "linux-arm64", "darwin-x64", "darwin-arm64"];
const nodeMin = [24, 11];

function fail(code, what, next) {
  process.stderr.write(`error ${code}: ${what}\n  next: ${next}\n`);
  process.exit(1);
}

function atLeast(version, [major, minor]) {
  const [a = 0, b = 0] = version.replace(/^v/, "").split(".").map(Number);
  return a > major || (a === major && b >= minor);
}

/** What npm may leave out and still call the install a success: the programs for this platform, Node and the broker. */
function leftOut() {
  const { optionalDependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  return Object.keys(optionalDependencies).filter(
    (name) => name.endsWith(platform) && !existsSync(join(modules, name)),
  );
}

/** The stamp names what the installed tree depends on: the lock file and the platform; and what is not in the tree. */
function stamp() {
  const hash = createHash("sha256").update(platform);
  for (const file of ["package-lock.json", "package.json"]) hash.update(readFileSync(join(root, file)));
  return [hash.digest("hex"), ...leftOut()].join(" ");
}

/** Runs npm with this Node: where npm did not start us, by the path, since npm takes whichever node it finds there. */
function npm(node, args) {
  const npmCli = process.env.npm_execpath;
  const [command, prefix] = npmCli ? [node, [npmCli]] : ["npm", []];
  const env = { ...process.env, PATH: `${dirname(node)}${delimiter}${process.env.PATH}` };
  const run = spawnSync(command, [...prefix, ...args], { cwd: root, env, stdio: ["ignore", 2, 2] });
  return run.status === 0;
}

function bundledNode() {
  const path = join(modules, `node-${platform}`, "bin", "node");
  return existsSync(path) ? path : null;
}

function install() {
  const quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
  process.stderr.write("questbus: setting up packages (only the first time) ...\n");
  if (!npm(process.execPath, ["ci", ...quiet])) {
    fail(
      "SETUP_FAILED",
      "npm could not install the packages.",
      "read npm's message above; is the npm registry reachable?",
    );
  }
  if (atLeast(process.version, nodeMin) && leftOut().length === 0) return;
  const node = bundledNode() ?? (atLeast(process.version, nodeMin) ? process.execPath : null);
  if (!node) {
    fail(
      "NODE_TOO_OLD",
      `Node ${process.version} is too old, and no Node 24 package exists for ${platform}.`,
      "install Node 24.11 or newer, then run the command again",
    );
  }
  // npm on Node 20 skips optional packages that ask for a newer Node (the nats-server); Node 24 takes them.
  if (!npm(node, ["install", "--no-save", ...quiet])) {
    fail(
      "SETUP_FAILED",
      "npm could not add the packages that need Node 24.",
      "read npm's message above, then run the command again",
    );
  }
}

if (!supported.includes(platform)) {
  fail(
    "PLATFORM_UNSUPPORTED",
    `Questbus runs on ${supported.join(", ")}; this is ${platform}.`,
    "use one of these, or a container with Linux",
  );
}
if (!existsSync(stampFile) || readFileSync(stampFile, "utf8") !== stamp()) {
  rmSync(stampFile, { force: true });
  install();
  mkdirSync(modules, { recursive: true });
  writeFileSync(stampFile, stamp());
}
// As a step of another command it is silent: that command follows.
if (!process.env.npm_lifecycle_event?.startsWith("pre")) {
  process.stderr.write(
    `questbus: set up. Next, see it at work:  npm run demo\n  or write a quest file (README.md), and:  npx questbus run path/to/quest.yaml\n`,
  );
}
