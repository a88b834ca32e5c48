import type { Containment } from "./containment.ts";

/**
 * A containment as bubblewrap makes it. It is not told to die with its parent: what a command leaves running is looked
 * for and named first, and whoever kills the group kills the first process of the namespace in it, and so all of it.
 */
export function bubblewrapArgv(
  argv: readonly string[],
  { mounts, cwd, network, tmpBytes, nested }: Containment,
): [string, ...string[]] {
  const sized = (path: string): string[] => ["--size", String(tmpBytes), "--tmpfs", path];
  const placed = mounts.flatMap(({ path, as }) => {
    if (as === "empty") return sized(path);
    if (as === "blank") return ["--ro-bind", "/dev/null", path];
    return [as === "read" ? "--ro-bind" : "--bind", path, path];
  });
  return [
    "bwrap",
    "--unshare-user",
    ...(nested ? [] : ["--disable-userns"]),
    "--unshare-pid",
    "--unshare-ipc",
    ...(network ? [] : ["--unshare-net"]),
    "--cap-drop",
    "ALL",
    ...["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"],
    // root can write what stands there without any privilege, and bubblewrap leaves that open
    ...["sys", "sysrq-trigger"].flatMap((name) => ["--ro-bind-try", `/proc/${name}`, `/proc/${name}`]),
    ...sized("/dev/shm"),
    ...placed,
    "--chdir",
    cwd,
    "--",
    ...argv,
  ];
}
