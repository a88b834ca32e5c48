import type { CliName, FixerSpec } from "@questbus/protocol";
import { statedWaitMs } from "./quota.ts";

/**
 * The coding CLIs that can be asked for a candidate: how each is started without a terminal, and what its end means.
 * From their documentation: Claude Code `claude -p`, Codex `codex exec`, Gemini CLI `gemini -p`, aider `--message-file`.
 * The prompt goes in by standard input or as a file, never as an argument: arguments are seen by everyone on the machine.
 */
type CliFixer = Extract<FixerSpec, { kind: "cli" }>;

type Template = {
  /** The words of the command line; `args` are the model's and the operator's own. */
  line(args: string): string;
  /** What it keeps below HOME: its sign-in and sessions, and, read only, itself. */
  writes: readonly string[];
  reads: readonly string[];
  /** Variables it reads keys and places from; they are handed on where they are set. */
  keeps: readonly string[];
  sets: Readonly<Record<string, string>>;
  /** What it leaves behind in the folder it works in, besides its edits. */
  leaves: RegExp | null;
  /** Words by which it says that a quota or a rate limit is used up. */
  quota: RegExp;
  install: string;
};

const prompt = '"$QUESTBUS_PROMPT"';
const asked = "'Carry out the task that is given on standard input.'";

const templates: Record<CliName, Template> = {
  claude: {
    line: (args) =>
      `claude -p ${asked} --output-format json --permission-mode acceptEdits${args} < ${prompt}`,
    keeps: [
      "ANTHROPIC_API_KEY",
      "ANTHROPIC_AUTH_TOKEN",
      "ANTHROPIC_BASE_URL",
      "CLAUDE_CODE_OAUTH_TOKEN",
      "CLAUDE_CONFIG_DIR",
    ],
    writes: [".claude", ".claude.json"],
    reads: [".local/share/claude"],
    sets: {},
    leaves: null,
    quota:
      /usage limit reached|hit your (?:\w+ )?limit|\blimit reached\b|rate_limit_error|overloaded_error|API Error: (?:429|529)/i,
    install: "npm install -g @anthropic-ai/claude-code",
  },
  codex: {
    line: (args) =>
      `codex exec --sandbox workspace-write --skip-git-repo-check --color never${args} - < ${prompt}`,
    keeps: ["OPENAI_API_KEY", "OPENAI_BASE_URL", "CODEX_API_KEY", "CODEX_HOME"],
    writes: [".codex"],
    reads: [],
    sets: {},
    leaves: null,
    quota:
      /hit your usage limit|usage_limit_reached|429 Too Many Requests|rate_limit_exceeded|rate limit reached/i,
    install: "npm install -g @openai/codex",
  },
  gemini: {
    line: (args) => `gemini -p ${asked} --approval-mode auto_edit --output-format json${args} < ${prompt}`,
    keeps: [
      "GEMINI_API_KEY",
      "GOOGLE_API_KEY",
      "GOOGLE_CLOUD_PROJECT",
      "GOOGLE_CLOUD_LOCATION",
      "GOOGLE_GENAI_USE_VERTEXAI",
    ],
    writes: [".gemini"],
    reads: [".config/gcloud"],
    // Without it a folder that nobody has trusted by hand is worked on in the mode that may edit nothing.
    sets: { GEMINI_CLI_TRUST_WORKSPACE: "true" },
    leaves: null,
    quota:
      /RESOURCE_EXHAUSTED|exceeded your current quota|rateLimitExceeded|quota (?:exceeded|limit)|"code":\s*429|status:? 429/i,
    install: "npm install -g @google/gemini-cli",
  },
  aider: {
    line: (args) =>
      `aider --message-file ${prompt} --yes-always --no-auto-commits --no-dirty-commits --no-gitignore --no-check-update --no-pretty --no-stream --no-suggest-shell-commands --chat-history-file /dev/null --input-history-file /dev/null${args}`,
    keeps: [
      "OPENAI_API_KEY",
      "ANTHROPIC_API_KEY",
      "GEMINI_API_KEY",
      "DEEPSEEK_API_KEY",
      "OPENROUTER_API_KEY",
    ],
    writes: [".aider"],
    reads: [".aider.conf.yml", ".local/share/uv"],
    sets: {},
    leaves: /^\.aider/,
    quota:
      /RateLimitError|RESOURCE_EXHAUSTED|insufficient_quota|exceeded your current quota|429 Too Many Requests/i,
    install: "python -m pip install aider-install && aider-install",
  },
};

const everywhere = ["HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "https_proxy", "http_proxy", "no_proxy"];
const shellWord = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

/** How to start it: a line for /bin/sh that reads the prompt's path from QUESTBUS_PROMPT, and its environment. */
export function cliStart(fixer: CliFixer): {
  command: string;
  keeps: readonly string[];
  sets: Readonly<Record<string, string>>;
  leaves: RegExp | null;
  /** Below HOME. */
  reads: readonly string[];
  writes: readonly string[];
} {
  const { line, keeps, sets, leaves, reads, writes } = templates[fixer.cli];
  const args = [...(fixer.model === null ? [] : ["--model", fixer.model]), ...fixer.extraArgs];
  const command = line(args.map((arg) => ` ${shellWord(arg)}`).join(""));
  return { command, keeps: [...keeps, ...everywhere, ...fixer.env], sets, leaves, reads, writes };
}

export const cliInstall = (cli: CliName): string => templates[cli].install;

/** How one run of it ended. */
export type CliRun = {
  exit: number | null;
  timedOut: boolean;
  stdout: string;
  stderr: string;
  /** It edited files. */
  changed: boolean;
};
export type CliEnd =
  | { state: "done" }
  | { state: "failed"; message: string }
  | { state: "timeout" }
  /** The program is not there, or cannot be started. */
  | { state: "missing" }
  /** `waitMs`: what it says about when to ask again; null: nothing. */
  | { state: "quota"; message: string; waitMs: number | null };

/** What the end of a run means. `nowMs`: the time of day, for those that name the hour at which a limit ends. */
export function classifyCliRun(cli: CliName, run: CliRun, nowMs: number): CliEnd {
  if (run.timedOut) return { state: "timeout" };
  if (run.exit === 127 || run.exit === 126) return { state: "missing" };
  const told = failureTold(run.stdout) ?? (run.exit === 0 ? null : failureTold(run.stderr));
  // aider says that a limit is used up, and exits with 0.
  const silent = run.exit === 0 && told === null && cli === "aider" && !run.changed;
  if (run.exit === 0 && told === null && !silent) return { state: "done" };
  const text = `${told ?? ""}\n${run.stdout.slice(-tailChars)}\n${run.stderr.slice(-tailChars)}`;
  const line = text.split("\n").find((each) => templates[cli].quota.test(each));
  if (line !== undefined)
    return { state: "quota", message: line.trim().slice(0, 300), waitMs: statedWaitMs(text, nowMs) };
  if (silent) return { state: "done" };
  const last = told ?? lastLine(run.stderr) ?? lastLine(run.stdout) ?? "it printed nothing";
  return { state: "failed", message: `exit code ${run.exit}: ${last.slice(0, 300)}` };
}

const tailChars = 16_384;

/** The last line that has words in it: a brace that ends some JSON says nothing. */
const lastLine = (text: string): string | null =>
  text
    .split("\n")
    .findLast((line) => /\w{2}/.test(line))
    ?.trim() ?? null;

/** The failure that a JSON result tells, whatever the exit code: `is_error` of claude, `error` of gemini. */
function failureTold(stdout: string): string | null {
  const from = stdout.indexOf("{");
  try {
    const said = JSON.parse(stdout.slice(Math.max(0, from))) as Record<string, unknown> | null;
    if (said?.is_error === true) return String(said.result ?? said.subtype ?? "it says that it failed");
    if (said?.error) return JSON.stringify(said.error);
    return null;
  } catch {
    return null;
  }
}
