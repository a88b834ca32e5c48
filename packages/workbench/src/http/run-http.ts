import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { getCompileCacheDir } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type HttpTarget, limit, QuestbusError } from "@questbus/protocol";
import { type CommandRun, type CommandSetting, runCommand } from "../command.ts";
import { lastLines } from "../excerpt.ts";
import { nameOwner } from "../run-home.ts";
import { type SandboxGrant, workSandbox } from "../sandbox/sandbox.ts";
import type { LoadOrder } from "./load.ts";
import { joinNetwork } from "./network.ts";
import { freePort } from "./port.ts";
import { untilReady, urlsOf } from "./readiness.ts";
import { usageOf } from "./server-usage.ts";

/**
 * One observation of a server: starts it, waits until it is ready, loads it, and ends it.
 *
 * Invariants:
 * H1: however it ends, the server's and the load's process groups are gone when it is answered.
 * H2: the server is started afresh for each observation, on a port where nobody listened before.
 * H3: nothing but this machine is asked; the quest's contract allows no other host.
 */
export type HttpRunOptions = CommandSetting & {
  grant?: SandboxGrant | undefined;
  http: HttpTarget;
  cwd: string;
  timeoutMs: number;
};

const asker = fileURLToPath(new URL("./ready.ts", import.meta.url));
const loader = fileURLToPath(new URL("./load.ts", import.meta.url));
/** For the load's own start, and the last second that it counts. */
const loadGraceMs = 15_000;

/**
 * The run of the load, with the server's memory and both outputs; `timedOut` when all of it took more than `timeoutMs`.
 * @throws BENCH_FAILED when the server does not become ready or ends too early, or when the port is taken
 */
export async function runHttp(options: HttpRunOptions): Promise<CommandRun> {
  const { http, signal } = options;
  const startMs = performance.now();
  const port = await freePort(http.port);
  const server = startServer(options, port);
  try {
    const within = AbortSignal.any([server.over, ...(signal ? [signal] : [])]);
    const via = server.apart ? await joinNetwork(server.group, within) : [];
    const found = await readiness(options, { urls: urlsOf(http.ready, port), via }, within);
    const origin = "url" in found ? new URL(found.url).origin : null;
    const before = server.usage();
    const load =
      origin === null
        ? null
        : await runLoad(options, { url: new URL(http.load.url, origin).href, via: via ?? [] }, within);
    const after = server.usage();
    const endedEarly = server.over.aborted;
    const ended = await server.stop();
    if (signal?.aborted) return { ...ended, aborted: true };
    const wallMs = performance.now() - startMs;
    if (ended.timedOut) return { ...ended, wallMs };
    if (endedEarly) throw endedTooEarly(ended);
    if (load === null) throw notReady(http, "last" in found ? found.last : "", ended);
    const output = `${load.output}\n${ended.output}`;
    return { ...load, output, wallMs, maxRssBytes: after?.maxRssBytes ?? null, ...cpuOf(before, after) };
  } finally {
    await server.stop();
  }
}

type Usage = ReturnType<typeof usageOf>;
const cpuOf = (before: Usage, after: Usage) => ({
  cpuMs: before && after ? after.cpuMs - before.cpuMs : null,
});

type Server = {
  /** It has a network of its own. */
  readonly apart: boolean;
  group(): number | null;
  /** Aborts when the server ends, whoever ended it. */
  readonly over: AbortSignal;
  usage(): Usage;
  /** Ends its group, waits until it is gone, and tells how it went. */
  stop(): Promise<CommandRun>;
};

function startServer({ http, signal, env, ...options }: HttpRunOptions, port: number): Server {
  const over = new AbortController();
  const stop = new AbortController();
  let group: number | null = null;
  const run = runCommand({
    ...options,
    user: "measure",
    grant: { ...options.grant, asked: true },
    command: http.start,
    env: { ...env, PORT: String(port) },
    signal: AbortSignal.any([stop.signal, ...(signal ? [signal] : [])]),
    onSpawn: (pid) => {
      group = pid;
    },
  }).finally(() => over.abort());
  run.catch(() => {});
  const inside = workSandbox();
  return {
    apart: inside !== null && !inside.network.includes("measure"),
    group: () => group,
    over: over.signal,
    usage: () => (group === null ? null : usageOf(group)),
    stop: () => {
      stop.abort();
      return run;
    },
  };
}

/** Runs the load in a process of its own; what it is to send stands in a file, not in its arguments. */
async function runLoad(
  options: HttpRunOptions,
  { url, via }: { url: string; via: readonly string[] },
  signal: AbortSignal,
): Promise<CommandRun> {
  const dir = await mkdtemp(join(tmpdir(), "questbus-load-"));
  try {
    await nameOwner(dir);
    const file = join(dir, "load.json");
    const { load, digest = false } = options.http;
    const order: LoadOrder = { url, load, digest, answersMax: limit.loadAnswersMax };
    await writeFile(file, JSON.stringify(order), { mode: 0o600 });
    const command = lineOf([...via, process.execPath, loader, file]);
    const timeoutMs = load.warmupMs + load.durationMs + loadGraceMs;
    const { groups } = options;
    return await runCommand({ command, cwd: dir, env: compiled(), timeoutMs, signal, groups, grant: "ours" });
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

type Ready = Awaited<ReturnType<typeof untilReady>>;

/** Asks from where the server can be reached. */
async function readiness(
  { http, cwd, timeoutMs, groups }: HttpRunOptions,
  { urls, via }: { urls: readonly string[]; via: readonly string[] | null },
  signal: AbortSignal,
): Promise<Ready> {
  const withinMs = Math.min(http.readyMs, timeoutMs);
  if (via === null) return { last: "it ended" };
  if (via.length === 0) return untilReady(urls, withinMs, signal);
  const command = lineOf([...via, process.execPath, asker, String(withinMs), ...urls]);
  const run = await runCommand({
    command,
    cwd,
    env: compiled(),
    timeoutMs: withinMs + loadGraceMs,
    signal,
    groups,
    grant: "ours",
  });
  return run.exit === 0 ? (JSON.parse(run.stdout) as Ready) : { last: lastLines(run.output, 300) };
}

/** Our own programs find their code compiled where this process does: they are begun for each run. */
function compiled(): Record<string, string> {
  const dir = getCompileCacheDir();
  return dir === undefined ? {} : { NODE_COMPILE_CACHE: dirname(dir) };
}

const lineOf = (words: readonly string[]): string => `exec ${words.map(quoted).join(" ")}`;
const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

const printed = ({ output }: CommandRun): string => {
  const excerpt = lastLines(output, 1_000);
  return excerpt ? `:\n${excerpt}` : "; it printed nothing";
};

function endedTooEarly(run: CommandRun): QuestbusError {
  const how = run.exit === null ? `signal ${run.signal}` : `exit code ${run.exit}`;
  return new QuestbusError({
    code: "BENCH_FAILED",
    message: `the server ended with ${how} before the load was over${printed(run)}`,
    where: "measure.http.start",
    next: "start it yourself in the target, with PORT set; it has to stay in the foreground",
  });
}

function notReady(http: HttpTarget, last: string, run: CommandRun): QuestbusError {
  return new QuestbusError({
    code: "BENCH_FAILED",
    message: `the server was not ready within ${http.readyMs / 1_000} s: ${last}${printed(run)}`,
    where: "measure.http.ready",
    next: "let it listen on the port in PORT, name a path that answers below 400, or raise measure.http.timeout",
  });
}
