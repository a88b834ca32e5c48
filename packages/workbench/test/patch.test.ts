import { type ErrorCode, inspectPatch } from "@questbus/protocol";
import { describe, expect, it } from "vitest";
import { makeTarget, patchOf, refused } from "./fixture.ts";

const hunk = "@@ -1 +1 @@\n-a\n+b\n";
const gitPatch = (path: string): string =>
  `diff --git a/${path} b/${path}\n--- a/${path}\n+++ b/${path}\n${hunk}`;
const plain = (path: string): string => `--- ${path}\n+++ ${path}\n${hunk}`;
const inspect = (text: string | Buffer): string[] => inspectPatch(text, { name: "x.patch" }).files;

describe("inspectPatch names the files of", () => {
  const good: [string, string, string[]][] = [
    ["a git diff", gitPatch("src/a.js"), ["src/a.js"]],
    ["several files", gitPatch("b") + gitPatch("a"), ["a", "b"]],
    [
      "a plain diff -u",
      "diff -u a/x.c b/x.c\n--- a/x.c\t2020-01-01 00:00:00.0 +0100\n+++ b/x.c 2020-01-01 00:00:00.000000000 +0100\n" +
        hunk,
      ["x.c"],
    ],
    ["a plain diff without directories", plain("x.c"), ["x.c"]],
    ["a new file in a plain diff", `--- /dev/null\n+++ x.c\n@@ -0,0 +1 @@\n+b\n`, ["x.c"]],
    ["an e-mail", `From: a\nSubject: b\n---\n a | 2 +-\n\n${gitPatch("a")}-- \n2.39\n`, ["a"]],
    [
      "a new file",
      "diff --git a/n b/n\nnew file mode 100644\nindex 000..123\n--- /dev/null\n+++ b/n\n@@ -0,0 +1 @@\n+x\n",
      ["n"],
    ],
    ["a new empty file", "diff --git a/n b/n\nnew file mode 100755\nindex 0000000..e69de29\n", ["n"]],
    [
      "a deleted file",
      "diff --git a/n b/n\ndeleted file mode 100644\n--- a/n\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n",
      ["n"],
    ],
    [
      "a rename",
      "diff --git a/one b/two\nsimilarity index 100%\nrename from one\nrename to two\n",
      ["one", "two"],
    ],
    [
      "a rename with spaces",
      "diff --git a/o n e b/t w o\nsimilarity index 100%\nrename from o n e\nrename to t w o\n",
      ["o n e", "t w o"],
    ],
    ["a copy", "diff --git a/one b/two\nsimilarity index 100%\ncopy from one\ncopy to two\n", ["one", "two"]],
    ["a change of mode", "diff --git a/run b/run\nold mode 100644\nnew mode 100755\n", ["run"]],
    [
      "a binary file",
      "diff --git a/i.png b/i.png\nindex 1..2 100644\nGIT binary patch\nliteral 3\nKcmZQzfB;4S\n\nliteral 1\nIcmWFxKK\n\n" +
        gitPatch("a"),
      ["a", "i.png"],
    ],
    [
      "quoted paths",
      'diff --git "a/\\303\\251\\t.js" "b/\\303\\251\\t.js"\n--- "a/\\303\\251\\t.js"\n+++ "b/\\303\\251\\t.js"\n' +
        hunk,
      ["é\t.js"],
    ],
    [
      "paths with spaces",
      `diff --git a/a b.js b/a b.js\n--- a/a b.js\t\n+++ b/a b.js\t\n${hunk}`,
      ["a b.js"],
    ],
    [
      "lines that look like headers",
      "--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n--- a/../../etc/passwd\n-x\n+++ b/../../etc/passwd\n+y\n",
      ["x"],
    ],
    ["CRLF throughout", gitPatch("a").replaceAll("\n", "\r\n"), ["a"]],
    [
      "no newline at the end",
      "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+b\n\\ No newline at end of file\n",
      ["x"],
    ],
    ["a context line whose space was trimmed", "--- a/x\n+++ b/x\n@@ -1,3 +1,3 @@\n a\n\n-b\n+c\n", ["x"]],
    [
      "names that only start like .git",
      gitPatch(".github/ci.yml") + gitPatch(".gitignore") + gitPatch("a.git/x"),
      [".github/ci.yml", ".gitignore", "a.git/x"],
    ],
  ];
  it.each(good)("%s", (_, text, files) => {
    expect(inspect(text)).toEqual(files);
  });

  it("what git itself prints", () => {
    const target = makeTarget();
    const edits = {
      "src/main.js": "x",
      'ü ber/"q".js': "x",
      "bin/a": Buffer.from([0, 1, 2]),
      "README.md": null,
    };
    expect(inspect(patchOf(target, edits))).toEqual(Object.keys(edits).sort());
  });
});

describe("inspectPatch refuses", () => {
  const mode = (line: string): string =>
    `diff --git a/l b/l\n${line}\n--- /dev/null\n+++ b/l\n@@ -0,0 +1 @@\n+/etc/passwd\n\\ No newline at end of file\n`;
  const evil: [string, ErrorCode, number, string][] = [
    ["nothing", "PATCH_EMPTY", 1, ""],
    ["blank lines", "PATCH_EMPTY", 1, "\n \n"],
    [
      "headers without changes",
      "PATCH_EMPTY",
      1,
      "diff --git a/x b/x\nindex 1..2 100644\n--- a/x\n+++ b/x\n",
    ],
    ["hunks without changes", "PATCH_EMPTY", 1, "--- a/x\n+++ b/x\n@@ -1 +1 @@\n a\n"],
    ["prose", "PATCH_INVALID", 1, "please make it faster\n"],
    ["a hunk that is cut off", "PATCH_INVALID", 3, "--- a/x\n+++ b/x\n@@ -1,4 +1,4 @@\n a\n-b\n"],
    ["a hunk that is longer than it says", "PATCH_INVALID", 4, "--- a/x\n+++ b/x\n@@ -1,0 +1,1 @@\n-b\n+c\n"],
    ["a hunk with other lines", "PATCH_INVALID", 5, "--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n a\n*b\n"],
    ["a hunk without a file", "PATCH_INVALID", 1, hunk],
    ["a bad hunk header", "PATCH_INVALID", 3, "--- a/x\n+++ b/x\n@@ -x +y @@\n-a\n+b\n"],
    [
      "a file without a name",
      "PATCH_INVALID",
      1,
      "diff --git x y z\nindex 1..2 100644\n@@ -1 +1 @@\n-a\n+b\n",
    ],
    [
      "binary files without content",
      "PATCH_INVALID",
      3,
      "diff --git a/i b/i\nindex 1..2 100644\nBinary files a/i and b/i differ\n",
    ],
    ["unfinished quotes", "PATCH_INVALID", 2, `diff --git "a/x" "b/x"\n--- "a/x\n+++ "b/x"\n${hunk}`],
    ["a NUL in a path", "PATCH_INVALID", 2, 'diff --git a/x b/x\nrename from "x\\000y"\nrename to z\n'],
    ["a strange mode", "PATCH_INVALID", 2, mode("new file mode 100666")],
    ["a directory's mode", "PATCH_INVALID", 2, mode("new file mode 040000")],
    ["a path upwards", "PATH_ESCAPES", 1, gitPatch("../x")],
    ["a path upwards, inside", "PATH_ESCAPES", 1, gitPatch("a/../../x")],
    ["a path upwards, plain", "PATH_ESCAPES", 1, plain("a/../../etc/passwd")],
    [
      "a path upwards, quoted",
      "PATH_ESCAPES",
      1,
      `diff --git "a/\\056./x" "b/\\056./x"\n--- "a/\\056./x"\n+++ "b/\\056./x"\n${hunk}`,
    ],
    ["a path upwards, with backslashes", "PATH_ESCAPES", 1, gitPatch("a\\..\\..\\x")],
    [
      "a rename upwards",
      "PATH_ESCAPES",
      4,
      "diff --git a/x b/y\nsimilarity index 100%\nrename from x\nrename to ../y\n",
    ],
    ["a header that lies", "PATH_ESCAPES", 3, `diff --git a/x b/x\n--- a/x\n+++ b/../y\n${hunk}`],
    ["an absolute path", "PATH_ESCAPES", 1, plain("/etc/passwd")],
    ["a name that no disk takes", "PATH_FORBIDDEN", 1, gitPatch(`src/${"-".repeat(256)}.js`)],
    ["a path that no disk takes", "PATH_FORBIDDEN", 1, gitPatch(`${"a/".repeat(2_048)}x`)],
    ["an absolute path after the prefix", "PATH_ESCAPES", 1, gitPatch("/etc/passwd")],
    ["an absolute path of Windows", "PATH_ESCAPES", 1, gitPatch("C:/x")],
    ["an empty part", "PATH_ESCAPES", 1, gitPatch("a//b")],
    [".git", "PATH_ESCAPES", 1, gitPatch(".git/config")],
    [".GIT, deeper", "PATH_ESCAPES", 1, gitPatch("sub/.GIT/hooks/pre-commit")],
    ["git~1", "PATH_ESCAPES", 1, gitPatch("git~1/config")],
    [".git with a trailing dot", "PATH_ESCAPES", 1, gitPatch(".git. ./config")],
    [".git with a stream", "PATH_ESCAPES", 1, gitPatch(".git::$INDEX_ALLOCATION/config")],
    [".git with an ignorable character", "PATH_ESCAPES", 1, gitPatch(".g\u200cit/config")],
    ["a second file that escapes", "PATH_ESCAPES", 7, gitPatch("a") + gitPatch("../x")],
    ["a new symbolic link", "PATH_FORBIDDEN", 2, mode("new file mode 120000")],
    [
      "a changed symbolic link",
      "PATH_FORBIDDEN",
      2,
      `diff --git a/l b/l\nindex 123..456 120000\n--- a/l\n+++ b/l\n${hunk}`,
    ],
    ["a removed symbolic link", "PATH_FORBIDDEN", 2, mode("deleted file mode 120000")],
    [
      "a file that becomes a symbolic link",
      "PATH_FORBIDDEN",
      3,
      "diff --git a/l b/l\nold mode 100644\nnew mode 120000\n",
    ],
    ["a submodule", "PATH_FORBIDDEN", 2, mode("new file mode 160000")],
    [".gitmodules", "PATH_FORBIDDEN", 1, gitPatch(".gitmodules")],
    [".GitModules", "PATH_FORBIDDEN", 1, gitPatch(".GitModules")],
  ];
  it.each(evil)("%s", async (_, code, line, text) => {
    expect((await refused(code, () => inspect(text))).where).toBe(`x.patch:${line}`);
  });
});
