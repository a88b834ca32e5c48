import { spawnSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  carriedBy,
  changedWhileParked,
  closeArms,
  openArms,
  rewrittenByCandidate,
  runArm,
} from "../src/arms.ts";
import { commitCandidate } from "../src/candidate.ts";
import { runCommand } from "../src/command.ts";
import { changedOnlyUnder, openSealGuard, type SealGuard, underSeal } from "../src/seal.ts";
import { listFiles, putBack, readBlobs, readChanges } from "../src/sealed-tree.ts";
import { checkout } from "../src/tree.ts";
import { openWorkspace, treeOf, type Workspace } from "../src/workspace.ts";
import { commitAll, makeTarget, refused, run, tempDir, until, write } from "./fixture.ts";

const files = {
  "bench.sh": "echo METRIC x=1\n",
  "test/main.js": "// a test\n",
  "test/deep/more.js": "// more tests\n",
  "run.sh": "#!/bin/sh\necho run\n",
  "src/main.js": "export const one = 1;\n",
};
const sealed = ["bench.sh", "run.sh", "test/deep/more.js", "test/link", "test/main.js"];

type Bench = { target: string; ws: Workspace; path: string; guard: SealGuard };

function targetWithLink(...init: string[]): string {
  const target = makeTarget(files, ...init);
  symlinkSync("main.js", join(target, "test/link"));
  chmodSync(join(target, "run.sh"), 0o755);
  commitAll(target, "with a link and a program");
  return target;
}

const guardOf = async (ws: Workspace, commit: string): Promise<SealGuard> =>
  openSealGuard(
    ws,
    (await listFiles(ws, commit)).filter(({ path }) => sealed.includes(path)),
  );

async function open(target = targetWithLink()): Promise<Bench> {
  const ws = await openWorkspace({
    dir: join(tempDir(), "quest"),
    targetRoot: target,
    commit: run(target, "rev-parse", "HEAD"),
  });
  return { target, ws, path: await checkout(ws, "work", ws.commit), guard: await guardOf(ws, ws.commit) };
}

/** Runs `work` under the seal, and answers with what was noted. */
async function after({ guard, path }: Bench, work: (path: string) => void): Promise<string[]> {
  guard.rewritten.clear();
  await underSeal(guard, path, async () => work(path));
  return [...guard.rewritten];
}

function expectWhole({ path }: Bench): void {
  for (const [name, text] of Object.entries(files)) expect(readFileSync(join(path, name), "utf8")).toBe(text);
  expect(readlinkSync(join(path, "test/link"))).toBe("main.js");
  expect(lstatSync(join(path, "run.sh")).mode & 0o111).not.toBe(0);
  for (const name of ["test", "test/deep"]) expect(lstatSync(join(path, name)).isDirectory()).toBe(true);
}

describe("a guard", () => {
  it("finds nothing in a tree that nobody changed, also in one of a sha256 repository", async () => {
    for (const bench of [await open(), await open(targetWithLink("--object-format=sha256"))]) {
      expect(bench.guard.files.map(({ path }) => path)).toEqual(sealed);
      expect(await after(bench, () => {})).toEqual([]);
      expect(await after(bench, (path) => write(path, { "src/main.js": "other\n" }))).toEqual([]);
      expect(readFileSync(join(bench.path, "src/main.js"), "utf8")).toBe("other\n");
    }
  });

  const swap = (path: string, name: string): void => {
    renameSync(join(path, name), join(path, "away"));
  };
  const changes: [string, string[], (path: string) => void][] = [
    ["an edit", ["bench.sh"], (path) => write(path, { "bench.sh": "echo METRIC x=0\n" })],
    ["an edit in place", ["bench.sh"], (path) => writeFileSync(join(path, "bench.sh"), "0", { flag: "r+" })],
    ["a file that is gone", ["test/main.js"], (path) => rmSync(join(path, "test/main.js"))],
    ["a folder that is gone", sealed.slice(2), (path) => rmSync(join(path, "test"), { recursive: true })],
    [
      "a file where a folder was",
      sealed.slice(2),
      (path) => {
        rmSync(join(path, "test"), { recursive: true });
        write(path, { test: "a file" });
      },
    ],
    [
      "a folder where a file was",
      ["bench.sh"],
      (path) => {
        rmSync(join(path, "bench.sh"));
        write(path, { "bench.sh/main.sh": "x" });
      },
    ],
    [
      "a link to a file of the same content",
      ["bench.sh"],
      (path) => {
        swap(path, "bench.sh");
        symlinkSync("away", join(path, "bench.sh"));
      },
    ],
    [
      "a link to the same folder",
      sealed.slice(2),
      (path) => {
        swap(path, "test");
        symlinkSync("away", join(path, "test"));
      },
    ],
    [
      "a link that leads elsewhere",
      ["test/link"],
      (path) => {
        rmSync(join(path, "test/link"));
        symlinkSync("/etc/passwd", join(path, "test/link"));
      },
    ],
    ["a program that is none any more", ["run.sh"], (path) => chmodSync(join(path, "run.sh"), 0o644)],
    [
      "a test that is made a program, which prepare may want",
      [],
      (path) => chmodSync(join(path, "bench.sh"), 0o755),
    ],
  ];
  it.each(changes)("puts back %s", async (_, found, change) => {
    const bench = await open();
    expect((await after(bench, change)).sort()).toEqual(found);
    expectWhole(bench);
    expect(await after(bench, () => {})).toEqual([]);
  });

  it("does not trust a file time that was set back, nor a second name of the file", async () => {
    const bench = await open();
    const file = join(bench.path, "bench.sh");
    linkSync(file, join(bench.path, "second"));
    const old = new Date(Date.now() - 3_600_000);
    utimesSync(file, old, old);
    await settled(file);
    expect(await after(bench, () => {})).toEqual([]);
    const edited = await after(bench, (path) => {
      writeFileSync(join(path, "second"), files["bench.sh"].replace("x=1", "x=0"));
      utimesSync(join(path, "second"), old, old);
    });
    expect(edited).toEqual(["bench.sh"]);
    expectWhole(bench);
    writeFileSync(join(bench.path, "second"), "not the bench any more\n");
    expect(await after(bench, () => {})).toEqual([]);
  });

  it("sees an edit within the same tick of the clock", async () => {
    const bench = await open();
    for (let at = 0; at < 20; at++) {
      const text = files["bench.sh"].replace("x=1", `x=${at % 2 === 0 ? 2 : 3}`);
      expect(await after(bench, (path) => write(path, { "bench.sh": text }))).toEqual(["bench.sh"]);
    }
  });

  it("remembers what it read of a file that has stood for a while", async () => {
    const bench = await open();
    await settled(join(bench.path, "test/deep/more.js"));
    await after(bench, () => {});
    expect([...bench.guard.known.keys()]).toEqual(sealed);
  });

  it("puts back what a run changed that failed, and what changed between runs", async () => {
    const bench = await open();
    const failing = underSeal(bench.guard, bench.path, async () => {
      write(bench.path, { "bench.sh": "x" });
      throw new Error("the run failed");
    });
    await expect(failing).rejects.toThrow("the run failed");
    expectWhole(bench);
    write(bench.path, { "test/main.js": "x" });
    await underSeal(bench.guard, bench.path, async () => expectWhole(bench));
    expect([...bench.guard.rewritten]).toEqual(["bench.sh", "test/main.js"]);
  });
});

/** Waits until the file has stood for longer than the guard asks for. */
const settled = (file: string): Promise<void> => {
  const { ctimeMs } = statSync(file);
  return until(() => Date.now() - ctimeMs > 150);
};

describe("what runs add in sealed places", () => {
  const places = {
    tracked: new Set(["bench.sh", "src/main.js", "test/deep/main.js"]),
    isSealed: (path: string) =>
      /^test\/|(^|\/)(__mocks__\/|conftest\.py$|vitest\.setup\.ts$|bench[^/]*$)/.test(path),
  };
  const guardAfter = async (texts: Record<string, string>): Promise<SealGuard> => {
    const root = tempDir();
    write(root, Object.fromEntries([...places.tracked].map((path) => [path, "x"])));
    const guard = openSealGuard({} as Workspace, [], places);
    await underSeal(guard, root, async () => write(root, texts));
    return guard;
  };

  it("is noted by its topmost new path, and not what is built elsewhere or what tools make everywhere", async () => {
    const guard = await guardAfter({
      "bench-1.json": "",
      "conftest.py": "",
      "test/deep/tmp/a": "",
      "src/__mocks__/fs.js": "",
      "test/node_modules/a/index.js": "",
      "src/other.js": "",
      "out/conftest.py": "",
    });
    expect([...guard.added].sort()).toEqual([
      "bench-1.json",
      "conftest.py",
      "src/__mocks__",
      "test/deep/tmp",
    ]);
    expect(changedOnlyUnder(guard, [])).toEqual([...guard.added].sort());
  });

  const both: [string, string[], string[], string[]][] = [
    ["the same", ["conftest.py", "test/tmp"], ["conftest.py", "test/tmp"], []],
    ["names with another time", ["bench-2026-1.json"], ["bench-2025-12.json"], []],
    ["another name in the folder of the tests", ["test/tmp-a/x"], ["test/tmp-b/x"], []],
    ["another name, in another folder of the tests", ["test/deep/a"], ["test/b"], ["test/deep/a"]],
    ["another name outside of it", ["benchmark.json"], ["bench-1.json"], ["benchmark.json"]],
    ["what has a meaning by its name", ["test/conftest.py"], ["test/tmp"], ["test/conftest.py"]],
    ["a folder that has one", ["test/__mocks__/fs.js"], ["test/tmp"], ["test/__mocks__"]],
    ["settings", ["test/vitest.setup.ts"], ["test/a.log"], ["test/vitest.setup.ts"]],
  ];
  it.each(both)("by candidate and base: %s", async (_, candidate, base, told) => {
    const textsOf = (paths: string[]) => Object.fromEntries(paths.map((path) => [path, "x"]));
    const [own, other] = [await guardAfter(textsOf(candidate)), await guardAfter(textsOf(base))];
    expect(changedOnlyUnder(own, [other])).toEqual(told);
  });
});

it("is not satisfied with a content that the repository has lost", async () => {
  const bench = await open();
  const lost = bench.guard.files.map((file) => ({ ...file, oid: "1".repeat(40) }));
  await refused("ROLLBACK_UNPROVEN", () =>
    underSeal(openSealGuard(bench.ws, lost), bench.path, async () => expect.fail("it was run")),
  );
});

describe("arms", () => {
  it("run sealed, and tell what only the candidate's runs changed", async () => {
    const bench = await open();
    write(bench.path, { "src/main.js": "sneaky\n" });
    const made = await commitCandidate(bench.ws, bench.path, bench.ws.commit, "candidate");
    const arms = await openArms(bench.ws, {
      base: bench.ws.commit,
      candidate: made?.commit,
      prepare: "echo prepared >> test/main.js",
      sealOf: (commit) => guardOf(bench.ws, commit),
    });
    const command =
      "grep -q sneaky src/main.js && echo 'echo METRIC x=0' > bench.sh; sh bench.sh; cat test/main.js";
    const outputs: string[] = [];
    for (const name of ["base", "candidate", "base", "candidate"] as const) {
      await runArm(arms, name, async (cwd) => {
        expect(readFileSync(join(cwd, "bench.sh"), "utf8")).toBe(files["bench.sh"]);
        outputs.push((await runCommand({ command, cwd, timeoutMs: 5_000 })).stdout);
      });
    }
    expect(rewrittenByCandidate(arms)).toEqual(["bench.sh"]);
    expect(outputs.filter((text) => text.includes("prepared"))).toEqual([]);
    await closeArms(arms);
  });

  it("tell what changed the base while it was parked, and run it as it was", async () => {
    const bench = await open();
    write(bench.path, { "src/main.js": "sneaky\n" });
    const made = await commitCandidate(bench.ws, bench.path, bench.ws.commit, "candidate");
    const arms = await openArms(bench.ws, {
      base: bench.ws.commit,
      candidate: made?.commit,
      prepare: "echo built > built.js; echo >> run.sh",
      sealOf: (commit) => guardOf(bench.ws, commit),
    });
    const command = "echo slow >> ../base/src/main.js; echo 0 > ../base/bench.sh; echo 0 > bench.sh";
    for (const name of ["base", "candidate", "base"] as const) {
      await runArm(arms, name, async (cwd) => {
        expect(readFileSync(join(cwd, "bench.sh"), "utf8")).toBe(files["bench.sh"]);
        if (name === "candidate") await runCommand({ command, cwd, timeoutMs: 5_000 });
        else expect(readFileSync(join(cwd, "src/main.js"), "utf8")).toBe(files["src/main.js"]);
      });
    }
    expect(changedWhileParked(arms)).toEqual(["bench.sh", "src/main.js"]);
    expect(rewrittenByCandidate(arms)).toEqual(["bench.sh"]);
    await closeArms(arms);
  });

  it("run the base without what the candidate put into it, and do not take its edits there for the base's own", async () => {
    const bench = await open();
    write(bench.path, { "src/main.js": "sneaky\n" });
    const made = await commitCandidate(bench.ws, bench.path, bench.ws.commit, "candidate");
    const arms = await openArms(bench.ws, {
      base: bench.ws.commit,
      candidate: made?.commit,
      prepare: "echo built > built.js",
      sealOf: (commit) => guardOf(bench.ws, commit),
    });
    const command = "echo slow > ../base/src/slow.js; echo 1 >> ../base/built.js; echo 1 >> built.js";
    for (const name of ["base", "candidate", "base"] as const) {
      await runArm(arms, name, async (cwd) => {
        if (name === "candidate") await runCommand({ command, cwd, timeoutMs: 5_000 });
        else expect(existsSync(join(cwd, "src/slow.js"))).toBe(false);
      });
    }
    expect(carriedBy(arms, "candidate")).toEqual(["built.js"]);
    expect(changedWhileParked(arms)).toEqual(["built.js"]);
    await closeArms(arms);
  });

  it("tell what the candidate changed of what prepare made for the base, and not what only got another name", async () => {
    const bench = await open();
    write(bench.path, { "src/main.js": "sneaky\n" });
    const made = await commitCandidate(bench.ws, bench.path, bench.ws.commit, "candidate");
    const store = tempDir();
    write(store, { one: "1\n", two: "2\n", old: "3\n" });
    const arms = await openArms(bench.ws, {
      base: bench.ws.commit,
      candidate: made?.commit,
      prepare: `mkdir -p node_modules/dep && ln ${store}/* node_modules/dep; echo 3 > node_modules/three`,
      sealOf: (commit) => guardOf(bench.ws, commit),
    });
    const inArm = (name: "base" | "candidate", command: string) =>
      runArm(arms, name, async (cwd) => runCommand({ command, cwd, timeoutMs: 5_000 }));
    await inArm("base", "true");
    await inArm("candidate", `ln ${store}/one ${store}/other`);
    await inArm("base", "true");
    expect([changedWhileParked(arms), carriedBy(arms, "candidate")]).toEqual([[], []]);
    await inArm(
      "candidate",
      "cd ../base/node_modules; echo 4 > three; touch -r dep/one three; rm -r dep/two",
    );
    await inArm("base", "true");
    expect(changedWhileParked(arms)).toEqual(["node_modules/dep/two", "node_modules/three"]);
    await inArm("candidate", `touch -d 2001-01-01 ${store}/old`);
    await inArm("base", "true");
    expect(changedWhileParked(arms)).toContain("node_modules/dep/old");
    await inArm("candidate", `echo 9 > ${store}/one`);
    await inArm("base", "true");
    expect(changedWhileParked(arms)).toContain("node_modules/dep/one");
    await closeArms(arms);
  });

  it("tell of a prepared file with a second name that is not to be read any more", () => {
    const dir = tempDir();
    const own = process.getuid?.() === 0 ? 65_534 : undefined;
    if (own) chownSync(dir, own, own);
    const source = (file: string): string => JSON.stringify(join(import.meta.dirname, "../src", file));
    const script = `
      import { execFileSync } from "node:child_process";
      import { chmodSync, linkSync, mkdirSync, writeFileSync } from "node:fs";
      import { checkout } from ${source("tree.ts")};
      import { lookAt, putBack, recordTree } from ${source("tree-record.ts")};
      import { openWorkspace } from ${source("workspace.ts")};
      const git = (...args) =>
        execFileSync("git", ["-c", "user.name=a", "-c", "user.email=a@example.org", ...args], { cwd: "target", encoding: "utf8" });
      mkdirSync("target");
      writeFileSync("target/one", "1");
      git("init", "-q");
      git("add", ".");
      git("commit", "-q", "-m", "one");
      const targetRoot = process.cwd() + "/target";
      const ws = await openWorkspace({ dir: process.cwd() + "/quest", targetRoot, commit: git("rev-parse", "HEAD").trim() });
      const path = await checkout(ws, "work", ws.commit);
      const laidOut = lookAt(path);
      for (const [name, mode] of [["read", 0o644], ["closed", 0o000]]) {
        writeFileSync(name, name, { mode });
        linkSync(name, path + "/" + name);
      }
      const record = await recordTree(ws, path, ws.commit, laidOut);
      const first = await putBack(ws, path, record);
      chmodSync("read", 0o000);
      chmodSync("closed", 0o644);
      console.log(JSON.stringify([first, await putBack(ws, path, record), await putBack(ws, path, record)]));`;
    const done = spawnSync(process.execPath, ["--input-type=module", "-e", script], {
      ...(own ? { uid: own, gid: own } : {}),
      env: { ...process.env, HOME: dir },
      cwd: dir,
      encoding: "utf8",
    });
    expect(done.stderr).toBe("");
    expect(JSON.parse(done.stdout)).toEqual([[], ["closed", "read"], []]);
  });

  it("are not looked at without a seal", async () => {
    const bench = await open();
    const arms = await openArms(bench.ws, { base: bench.ws.commit, prepare: "echo x > bench.sh" });
    await runArm(arms, "base", async (cwd) =>
      expect(readFileSync(join(cwd, "bench.sh"), "utf8")).toBe("x\n"),
    );
    expect(rewrittenByCandidate(arms)).toEqual([]);
  });
});

describe("trees", () => {
  it("lists the files of a commit with what git calls their contents", async () => {
    const { ws, target } = await open();
    const list = await listFiles(ws, ws.commit);
    expect(list.map(({ path }) => path)).toEqual([...Object.keys(files), "test/link"].sort());
    expect(list.find(({ path }) => path === "run.sh")).toEqual({
      path: "run.sh",
      mode: "100755",
      oid: run(target, "rev-parse", "HEAD:run.sh"),
    });
    const blobs = await readBlobs(
      ws,
      list.map(({ oid }) => oid),
    );
    expect(blobs.get(run(target, "rev-parse", "HEAD:bench.sh"))?.toString()).toBe(files["bench.sh"]);
    expect((await readBlobs(ws, ["0".repeat(40)])).size).toBe(0);
    const small = await readBlobs(ws, ["0".repeat(40), ...list.map(({ oid }) => oid)], 17);
    expect([...small.values()].map(String).sort()).toEqual([
      "// a test\n",
      "// more tests\n",
      "echo METRIC x=1\n",
      "main.js",
    ]);
  });

  it("reads what differs, with the texts that are asked for", async () => {
    const { ws, path } = await open();
    write(path, { "src/main.js": "2\n", "src/new.js": "new\n", "test/main.js": null });
    const made = await commitCandidate(ws, path, ws.commit, "candidate");
    expect(await readChanges(ws, ws.commit, made?.commit ?? "", (name) => name !== "src/main.js")).toEqual([
      { path: "src/main.js", before: "", after: "" },
      { path: "src/new.js", before: null, after: "new\n" },
      { path: "test/main.js", before: files["test/main.js"], after: null },
    ]);
  });

  it("puts paths back to what they were, to nothing, or to a text, and leaves the rest", async () => {
    const { ws, path, target } = await open();
    rmSync(join(path, "bench.sh"));
    mkdirSync(join(path, "bench.sh"));
    write(path, {
      "bench.sh/main.sh": "in the way\n",
      "src/main.js": "2\n",
      "test/main.js": null,
      "test/new.js": "new\n",
      "package.json": "{}",
    });
    const made = await commitCandidate(ws, path, ws.commit, "candidate");
    const tree = await putBack(ws, {
      tree: made?.tree ?? "",
      from: ws.commit,
      replacements: [
        { path: "bench.sh", as: "before" },
        { path: "test/main.js", as: "before" },
        { path: "test/new.js", as: "absent" },
        { path: "package.json", as: { text: '{"a":1}\n' } },
        { path: "run.sh", as: "absent" },
      ],
    });
    const changed = await readChanges(ws, ws.commit, tree, () => true);
    expect(changed).toEqual([
      { path: "package.json", before: null, after: '{"a":1}\n' },
      { path: "src/main.js", before: files["src/main.js"], after: "2\n" },
    ]);
    expect(existsSync(join(target, "package.json"))).toBe(false);
    expect(await treeOf(ws, tree)).toBe(tree);
  });
});
