import { type ChildProcess, spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { runGit } from "@questbus/testkit";
import {
  type CommandRun,
  checkout,
  openWorkspace,
  runCommand,
  type Sandbox,
  treeHash,
  underSandbox,
  type Workspace,
} from "@questbus/workbench";

/**
 * Attempts of a quest's command to get out of its sandbox. Each is bounded by itself, so that one that succeeds does no
 * harm: nothing is sent beyond this machine, no more than 300 processes are started and no more than 64 MB are written.
 */
export type Attempt = {
  name: string;
  /** A line for /bin/sh. */
  command: (scene: Scene) => string;
  /** Whether it got out. */
  succeeded: (scene: Scene, run: CommandRun) => boolean | Promise<boolean>;
  /** Without a sandbox it succeeds and does no harm: run so, it shows that it is one at all. */
  control?: true;
  /** It is a bound that holds, whichever the level: one of them is enough to show it in the test suite. */
  bound?: true;
  timeoutMs?: number;
};

/** What there is to reach: a state directory with secrets and another quest, a target, a process, and listeners. */
export type Scene = {
  dir: string;
  state: string;
  /** The tree that the command works in. */
  cwd: string;
  ws: Workspace;
  secretFile: string;
  otherTree: string;
  target: string;
  outside: string;
  /** Below the operator's home; it is never made. */
  homeFile: string;
  victim: ChildProcess;
  port: number;
  udpPort: number;
  socket: string;
  abstract: string;
  /** What reached the listeners so far. */
  heard: () => number;
  close(): Promise<void>;
};

/** Bounds of the sandbox that the attempts are run in. */
export const bounds = {
  processes: 64,
  memoryBytes: 402_653_184,
  fileBytes: 16_777_216,
  tmpBytes: 16_777_216,
} as const;

const secret = "a-secret-that-nobody-may-see";
const mark = "GOT-OUT";

export async function openScene(): Promise<Scene> {
  const dir = mkdtempSync(join(tmpdir(), "questbus-escape-"));
  const path = (...parts: string[]): string => join(dir, ...parts);
  const target = path("target");
  for (const each of [target, path("outside"), path("state/quests/other/trees/work")])
    mkdirSync(each, { recursive: true });
  writeFileSync(path("target/code.txt"), "code\n");
  runGit(target, "init", "--quiet");
  runGit(target, "add", "--all");
  runGit(target, "commit", "--quiet", "--message", "start");
  writeFileSync(path("state/operator.nk"), secret, { mode: 0o600 });
  writeFileSync(path("state/questbus.db"), "rows");
  writeFileSync(path("state/quests/other/trees/work/theirs.txt"), secret);
  const commit = runGit(target, "rev-parse", "HEAD");
  const ws = await openWorkspace({ dir: path("state/quests/own"), targetRoot: target, commit });
  await checkout(ws, "beside", commit);
  const cwd = await checkout(ws, "work", commit);
  const victim = spawn("sleep", ["600"], {
    env: { VICTIM_TOKEN: secret, PATH: process.env.PATH },
    stdio: "ignore",
  });
  let heard = 0;
  const listen = async (on: number | string): Promise<ReturnType<typeof createServer>> => {
    const server = createServer((connection) => {
      heard += 1;
      connection.destroy();
    });
    server.listen(typeof on === "number" ? { port: on, host: "127.0.0.1" } : { path: on });
    await once(server, "listening");
    return server;
  };
  const [socket, abstract] = [path("outside/socket"), `questbus-escape-${process.pid}`];
  const tcp = await listen(0);
  const servers = [tcp, await listen(socket), await listen(`\0${abstract}`)];
  const udp = createSocket("udp4", () => {
    heard += 1;
  });
  udp.bind(0, "127.0.0.1");
  await once(udp, "listening");
  process.env.QUESTBUS_ESCAPE_TOKEN = secret;
  return {
    ...{ dir, state: path("state"), cwd, ws, target, outside: path("outside"), victim, socket, abstract },
    secretFile: path("state/operator.nk"),
    otherTree: path("state/quests/other/trees/work"),
    homeFile: join(homedir(), `.questbus-escape-${process.pid}`),
    port: (tcp.address() as AddressInfo).port,
    udpPort: udp.address().port,
    heard: () => heard,
    async close() {
      delete process.env.QUESTBUS_ESCAPE_TOKEN;
      for (const server of servers) server.close();
      udp.close();
      victim.kill("SIGKILL");
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** Runs one attempt in the scene; true when it got out. */
export async function attempt(scene: Scene, each: Attempt, sandbox: Sandbox): Promise<boolean> {
  const { cwd } = scene;
  const command = each.command(scene);
  const run = await underSandbox({ sandbox, network: [] }, () =>
    runCommand({ command, cwd, timeoutMs: each.timeoutMs ?? 20_000 }),
  );
  return each.succeeded(scene, run);
}

const says = (_: Scene, { output }: CommandRun): boolean => output.includes(mark);
const tellsSecret = (_: Scene, { output }: CommandRun): boolean => output.includes(secret);
const node = (program: string): string => `node -e '${program}'`;
const made =
  (place: (scene: Scene) => string) =>
  (scene: Scene): boolean => {
    const path = place(scene);
    const is = existsSync(path);
    rmSync(path, { force: true });
    return is;
  };
const larger =
  (name: string, bytes: number) =>
  ({ cwd }: Scene): boolean => {
    const path = join(cwd, name);
    const is = existsSync(path) && statSync(path).size > bytes;
    rmSync(path, { force: true });
    return is;
  };
/** Listeners hear in their own time: what connected is told by the run, too. */
const connects =
  (to: (scene: Scene) => string) =>
  (scene: Scene): string =>
    node(
      `const c = require("net").connect(${to(scene)}); c.on("connect", () => { console.log("${mark}"); c.destroy(); }); c.on("error", () => {});`,
    );
const runs = (command: string): boolean => {
  const text = [...processList()].join("\n");
  return text.includes(command);
};

function* processList(): Generator<string> {
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      yield readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
    } catch {
      // it has ended
    }
  }
}

export const attempts: readonly Attempt[] = [
  {
    name: "write a file by its path",
    command: ({ outside }) => `echo x >'${outside}/by-path'`,
    succeeded: made(({ outside }) => join(outside, "by-path")),
    control: true,
  },
  {
    name: "write a file by dots",
    command: () => "echo x >../../../../by-dots",
    succeeded: made(({ state }) => join(state, "by-dots")),
    control: true,
  },
  {
    name: "write through a symbolic link",
    command: ({ outside }) => `rm -f link; ln -s '${outside}/by-link' link; echo x >link; rm -f link`,
    succeeded: made(({ outside }) => join(outside, "by-link")),
    control: true,
  },
  {
    name: "read through a hard link",
    command: ({ secretFile }) => `rm -f hard; ln '${secretFile}' hard; cat hard; rm -f hard`,
    succeeded: tellsSecret,
    control: true,
  },
  {
    name: "read credentials",
    command: ({ state }) => `cat '${state}'/*.nk`,
    succeeded: tellsSecret,
    control: true,
  },
  {
    name: "read another quest's tree",
    command: ({ otherTree }) => `cat '${otherTree}'/*`,
    succeeded: tellsSecret,
    control: true,
  },
  {
    name: "write to the tree beside its own",
    command: () => "echo x >../beside/changed",
    succeeded: made(({ cwd }) => join(cwd, "../beside/changed")),
    control: true,
  },
  {
    name: "write to the database",
    command: ({ state }) => `echo changed >>'${state}/questbus.db'`,
    succeeded: ({ state }) => readFileSync(join(state, "questbus.db"), "utf8") !== "rows",
  },
  {
    name: "write to the operator's home",
    command: ({ homeFile }) => `echo x >'${homeFile}'`,
    succeeded: made(({ homeFile }) => homeFile),
  },
  {
    name: "write to the target's files",
    command: ({ target }) => `echo x >'${target}/changed'`,
    succeeded: made(({ target }) => join(target, "changed")),
    control: true,
  },
  {
    name: "plant a hook in the target's .git",
    command: ({ target }) => `mkdir -p '${target}/.git/hooks'; echo x >'${target}/.git/hooks/pre-commit'`,
    succeeded: made(({ target }) => join(target, ".git/hooks/pre-commit")),
    control: true,
  },
  {
    name: "move a branch of the target",
    command: ({ target }) => `git -C '${target}' -c safe.directory='*' branch stolen`,
    succeeded: made(({ target }) => join(target, ".git/refs/heads/stolen")),
    control: true,
  },
  {
    name: "write to the quest's own repository",
    command: () => "echo x >../../repo.git/objects/changed",
    succeeded: made(({ ws }) => join(ws.gitDir, "objects/changed")),
    control: true,
  },
  {
    name: "have the workbench's git run a hook or a monitor of the tree",
    command: ({ outside }) =>
      `printf '#!/bin/sh\\ntouch "${outside}/by-hook"\\n' >run.sh; chmod +x run.sh; mkdir -p .git/hooks; for n in post-checkout post-index-change reference-transaction; do cp run.sh .git/hooks/$n; done; git config core.fsmonitor "$PWD/run.sh"; git config core.hooksPath "$PWD/.git/hooks"`,
    succeeded: async (scene) => {
      await treeHash(scene.ws, scene.cwd);
      return made(({ outside }) => join(outside, "by-hook"))(scene);
    },
  },
  {
    name: "have npm run a script that writes outside",
    command: ({ outside, secretFile }) =>
      `echo '{"scripts":{"preinstall":"touch ${outside}/by-npm; cat ${secretFile}"}}' >package.json; npm install --offline --no-audit --foreground-scripts; rm -f package.json package-lock.json`,
    succeeded: (scene, run) =>
      made(({ outside }) => join(outside, "by-npm"))(scene) || tellsSecret(scene, run),
    control: true,
  },
  {
    name: "see the environment of other processes",
    command: () => "cat /proc/[0-9]*/environ",
    succeeded: tellsSecret,
    control: true,
  },
  {
    name: "see secrets in its own environment",
    command: () => "env",
    succeeded: tellsSecret,
  },
  {
    name: "reach files through /proc/PID/root",
    command: ({ secretFile, victim }) =>
      `cat /proc/${victim.pid}/root'${secretFile}' /proc/1/root'${secretFile}' /proc/self/root'${secretFile}'`,
    succeeded: tellsSecret,
    control: true,
  },
  {
    name: "write a setting of the kernel",
    command: () => `for each in core_pattern modprobe; do (: >>/proc/sys/kernel/$each) && echo ${mark}; done`,
    succeeded: says,
  },
  {
    name: "open sysrq",
    command: () => `(: >>/proc/sysrq-trigger) && echo ${mark}`,
    succeeded: says,
  },
  {
    name: "read the passwords of the machine",
    command: () => `cat /etc/shadow | grep -q : && echo ${mark}`,
    succeeded: says,
  },
  {
    name: "outlive the run in a session of its own",
    command: () => "setsid sleep 601.7 >/dev/null 2>&1 & sleep 0.1",
    succeeded: () => runs("sleep 601.7"),
  },
  {
    name: "outlive the run as an orphan without an environment",
    command: () =>
      "(setsid env -i /bin/sh -c '(sleep 602.7 &) ; exit' </dev/null >/dev/null 2>&1 &) ; sleep 0.2",
    succeeded: () => runs("sleep 602.7"),
  },
  {
    name: "kill a process outside",
    command: ({ victim }) => `kill -9 ${victim.pid}; sleep 0.05`,
    succeeded: ({ victim }) => victim.exitCode !== null || victim.signalCode !== null,
  },
  {
    name: "kill everything",
    command: () => "kill -9 -1; sleep 0.05",
    succeeded: ({ victim }) => victim.exitCode !== null || victim.signalCode !== null,
  },
  {
    name: "write to the memory of a process outside",
    command: ({ victim }) => `(: >>/proc/${victim.pid}/mem) && echo ${mark}`,
    succeeded: says,
    control: true,
  },
  {
    name: "fork without end",
    bound: true,
    command: () =>
      `i=0; while [ $i -lt 300 ]; do sleep 3 & i=$((i+1)); done; [ "$(ls -d /proc/[0-9]* | wc -l)" -gt 200 ] && echo ${mark}`,
    succeeded: says,
    timeoutMs: 2_500,
  },
  {
    name: "use all memory",
    bound: true,
    command: () =>
      node(
        `const all = []; for (let i = 0; i < 40; i++) all.push(Buffer.alloc(16777216, 1)); console.log("${mark}");`,
      ),
    succeeded: says,
    control: true,
  },
  {
    name: "write a huge file",
    bound: true,
    command: () => "dd if=/dev/zero of=huge bs=1M count=64 2>/dev/null",
    succeeded: larger("huge", bounds.fileBytes),
    control: true,
  },
  {
    name: "fill /dev/shm and /tmp",
    bound: true,
    command: () =>
      `for dir in /dev/shm /tmp /run /home; do for n in 1 2 3 4; do dd if=/dev/zero of=$dir/fill$n bs=1M count=15; done; [ "$(du -smx $dir | cut -f1)" -gt 20 ] && echo ${mark}; rm -f $dir/fill*; done 2>/dev/null`,
    succeeded: says,
  },
  {
    name: "raise its limits again",
    bound: true,
    command: () =>
      `(ulimit -f unlimited) 2>/dev/null && echo ${mark}; (ulimit -H -t unlimited) 2>/dev/null && echo ${mark}`,
    succeeded: says,
  },
  {
    name: "leave its control group",
    bound: true,
    command: () =>
      `for each in /sys/fs/cgroup/cgroup.procs /sys/fs/cgroup/*/cgroup.procs; do (echo $$ >$each) && echo ${mark}; done 2>/dev/null`,
    succeeded: says,
  },
  {
    name: "connect to a port of this machine, as the broker's is",
    command: connects(({ port }) => `${port}, "127.0.0.1"`),
    succeeded: (scene, run) => says(scene, run) || scene.heard() > 0,
    control: true,
  },
  {
    name: "connect to a Unix socket",
    command: connects(({ socket }) => `"${socket}"`),
    succeeded: says,
    control: true,
  },
  {
    name: "connect to an abstract Unix socket",
    command: connects(({ abstract }) => `"\\0${abstract}"`),
    succeeded: says,
    control: true,
  },
  {
    name: "send a datagram",
    command: ({ udpPort }) =>
      node(
        `const s = require("dgram").createSocket("udp4"); s.send("x", ${udpPort}, "127.0.0.1", () => setTimeout(() => s.close(), 50));`,
      ),
    succeeded: ({ heard }) => heard() > 0,
  },
  {
    name: "see another network than its own loopback",
    command: () => `tail -n +3 /proc/net/dev | grep -v '^ *lo:' && echo ${mark}`,
    succeeded: says,
    control: true,
  },
  {
    name: "mount",
    command: ({ cwd }) =>
      `mkdir -p m; mount -t tmpfs none '${cwd}/m' && echo ${mark}; mount -o remount,rw / && echo ${mark}`,
    succeeded: says,
  },
  {
    name: "uncover what is hidden in a namespace of its own",
    command: ({ secretFile, state, outside }) =>
      `unshare --user --map-root-user --mount sh -c "umount '${state}'; umount /tmp; umount -l /tmp; mount -o remount,rw,bind /; cat '${secretFile}'; touch '${outside}/by-namespace' /etc/questbus-escape"`,
    succeeded: (scene, run) =>
      tellsSecret(scene, run) ||
      made(({ outside }) => join(outside, "by-namespace"))(scene) ||
      made(() => "/etc/questbus-escape")(scene),
  },
  {
    name: "join the namespaces of a process outside",
    command: ({ victim, secretFile }) =>
      `nsenter --target ${victim.pid} --mount --pid cat '${secretFile}'; nsenter --target 1 --mount cat '${secretFile}'`,
    succeeded: tellsSecret,
  },
  {
    name: "make a device",
    command: () => `rm -f device; mknod device b 7 0 && echo ${mark}; rm -f device`,
    succeeded: says,
  },
  {
    name: "write to the terminal",
    command: () => `(: >/dev/tty) && echo ${mark}`,
    succeeded: says,
  },
  {
    name: "print without end",
    bound: true,
    command: () => "head -c 30000000 /dev/zero | tr '\\0' x",
    succeeded: (_, { stdout }) => stdout.length > 2_097_152,
  },
  {
    name: "heed no end",
    bound: true,
    command: () => "trap '' TERM HUP INT; while :; do sleep 0.05; done",
    succeeded: (_, { wallMs }) => wallMs > 5_000,
    timeoutMs: 300,
  },
];
