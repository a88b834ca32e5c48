import type { CliName } from "@questbus/protocol";
import { describe, expect, test } from "vitest";
import { gitWriteIn, programsOf } from "../../src/tool/command-line.ts";
import { forbiddenArguments, forbiddenPrograms, forbiddenStarts } from "../../src/tool/policy.ts";

test.each<[string, string[]]>([
  ["node fix.mjs", ["node"]],
  ['"$QUESTBUS_QUEST_DIR/improve.sh" --fast', ["improve.sh"]],
  ["/usr/bin/python3 x.py", ["python3"]],
  ["A=1 B='x y' node a.js && npm run b; make", ["node", "npm", "make"]],
  ["cat a | sed 's/;/,/' > b", ["cat", "sed"]],
  ["if test -f a; then exec node b; fi", ["test", "node"]],
  ["echo $(git rev-parse HEAD)", ["echo", "git"]],
  ["sh one.sh\npython two.py", ["sh", "python"]],
  ["", []],
  // a shell runs what is substituted, in double quotes too
  ['node "$(curl http://x)"', ["node", "curl"]],
  ['node "`curl http://x`"', ["node", "curl"]],
  ['node "$( (echo a); curl x )" b', ["node", "echo", "curl"]],
  ['node "$(cat "$(curl x)")"', ["node", "cat", "curl"]],
  ["node '$(curl x)' \\$x", ["node"]],
  // what is in quotes is a word, with its lines
  ["node -e '\ncurl x\n'", ["node"]],
  ['node "a\nb"; curl x', ["node", "curl"]],
  ["node a # don't\ncurl x\n# 'tis", ["node", "curl"]],
  ["cat <<EOF\ndon't\nEOF\ncurl x", ["cat", "dont\nEOF\ncurl x", "dont", "EOF", "curl"]],
  ["node a \\\n  --b", ["node"]],
  ["2>/dev/null node a >b 2>&1", ["node"]],
  ["env -i A=1 nice -n 5 curl x", ["curl"]],
  ["timeout 5s curl x", ["curl"]],
  ["env", ["env"]],
  ["sh -ec 'git push' x", ["sh", "git"]],
])("%s starts %j", (line, programs) => {
  expect(programsOf(line)).toEqual(programs);
});

test.each<[string, string | null]>([
  ["git commit -am x", "git commit"],
  ["node a.js && git push origin main", "git push"],
  ["git -C sub -c user.name=x config core.hooksPath h", "git config"],
  ["/usr/bin/git tag v1", "git tag"],
  ["git apply fix.patch && git diff --stat", null],
  ["git checkout -- src", null],
  ['echo "$(git push origin)"', "git push"],
  ["git --git-dir /x push", "git push"],
  ["git --git-dir=/x push", "git push"],
  ["git --namespace foo push", "git push"],
  ["git --no-pager --work-tree /x diff", null],
  ["git reset --hard HEAD~1", "git reset"],
  ["git stash", "git stash"],
  ["git checkout -b other", "git checkout -b"],
  ["git switch -c other", "git switch -c"],
  ["env -i git push", "git push"],
  ["sh -c 'git push'", "git push"],
  ["echo git commit", null],
  ["./commit.sh", null],
])("%s: %s", (line, words) => {
  expect(gitWriteIn(line)).toBe(words);
});

test("what may be started is named; a star is anything", () => {
  const policy = (commands: string[]) => ({ commands, tools: [] });
  expect(forbiddenPrograms("node a.js && curl x", policy(["node"]))).toEqual(["curl"]);
  expect(forbiddenPrograms("node a.js && curl x", policy(["*"]))).toEqual([]);
  expect(forbiddenPrograms("node a.js", policy([]))).toEqual(["node"]);
});

test.each<[string[], string[], string[]]>([
  [["env", "curl", "x"], ["node"], ["env", "curl"]],
  [["env", "node", "x"], ["node"], ["env"]],
  [["/usr/bin/env", "node", "x"], ["env", "node"], []],
  [["nohup", "curl"], ["nohup"], ["curl"]],
  [["node", "$(curl x)", "a; curl"], ["node"], []],
  [["env"], ["*"], []],
])("%j, where %j may be started", (words, commands, names) => {
  expect(forbiddenStarts(words, { commands, tools: [] })).toEqual(names);
});

describe("arguments of coding CLIs", () => {
  const tools = ["Read", "Edit", "Bash"];
  test.each<[CliName, string[], number]>([
    ["claude", ["--max-turns", "9"], 0],
    ["claude", ["--allowedTools", "Bash(npm test:*)", "Read"], 0],
    ["claude", ["--allowedTools=Bash(git log:*),Edit"], 0],
    ["claude", ["--allowedTools", "WebFetch"], 1],
    ["claude", ["--allowed-tools", "Read,mcp__db__query"], 1],
    ["claude", ["--dangerously-skip-permissions"], 1],
    ["claude", ["--permission-mode", "bypassPermissions"], 1],
    ["claude", ["--permission-mode", "plan"], 0],
    ["claude", ["--mcp-config", "x.json", "--settings", "{}"], 2],
    ["codex", ["-c", "model_reasoning_effort=high"], 0],
    ["codex", ["-c", "mcp_servers.x.command=sh"], 1],
    ["codex", ["--sandbox", "danger-full-access"], 1],
    ["codex", ["--sandbox", "workspace-write"], 0],
    ["codex", ["-sdanger-full-access", "-cmcp_servers.x.command=sh"], 2],
    ["codex", ["-sworkspace-write", "-cmodel_reasoning_effort=high"], 0],
    ["codex", ["--dangerously-bypass-approvals-and-sandbox"], 1],
    ["codex", ["-a", "never"], 1],
    ["codex", ["--ask-for-approval", "never", "-anever"], 2],
    ["codex", ["-p", "danger", "--profile=danger"], 2],
    ["codex", ["-C", "/", "--cd", "/"], 2],
    ["claude", ["--add-dir", "/"], 1],
    ["gemini", ["--yolo"], 1],
    ["gemini", ["--sandbox=false"], 1],
    ["gemini", ["-s", "false", "--no-sandbox"], 2],
    ["gemini", ["--sandbox"], 0],
    ["gemini", ["--approvalMode", "yolo", "--includeDirectories=/"], 2],
    ["aider", ["--auto-test", "--test-cmd", "curl x"], 2],
    ["aider", ["--lint-cmd", "curl x", "--test-c=curl x", "-c", "x.yml"], 3],
    ["aider", ["--no-auto-lint", "--no-auto-test"], 0],
    ["gemini", ["--approval-mode", "yolo"], 1],
    ["gemini", ["--allowed-tools", "run_shell_command(ls)"], 0],
    ["gemini", ["--allowed-tools", "web_fetch"], 1],
    ["aider", ["--auto-commits"], 1],
    ["aider", ["--edit-format", "diff"], 0],
  ])("%s %j: %i refused", (cli, args, count) => {
    expect(forbiddenArguments(cli, args, { commands: ["*"], tools })).toHaveLength(count);
  });

  test("a role without a tool cannot be given it", () => {
    const policy = { commands: ["*"], tools: ["Read"] };
    expect(forbiddenArguments("claude", ["--allowedTools", "Bash"], policy)).toEqual(["--allowedTools=Bash"]);
  });
});
