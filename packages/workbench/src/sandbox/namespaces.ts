import { spawnSync } from "node:child_process";
import { getuid } from "node:process";
import type { Containment } from "./containment.ts";

/**
 * A containment as `unshare` and `mount` of util-linux make it, for machines without bubblewrap. The shell that sets it
 * up stays its first process, so that when the command ends all that it left ends with it.
 *
 * The new root is bound over /sys, the one place that no path of a plan is below.
 */
const script = `set -e
root=/sys cwd=$1 size=$2 loopback=$3 given=$PATH; shift 3
PATH=/usr/sbin:/usr/bin:/sbin:/bin
[ -z "$loopback" ] || eval "$loopback"
mount --make-rprivate /
mount --rbind / "$root"
mount -t tmpfs -o mode=755,size=64k none "$root/dev"
for name in null zero full random urandom tty; do
  : >"$root/dev/$name"; mount --bind "/dev/$name" "$root/dev/$name"
done
ln -s /proc/self/fd "$root/dev/fd"
ln -s fd/0 "$root/dev/stdin"; ln -s fd/1 "$root/dev/stdout"; ln -s fd/2 "$root/dev/stderr"
mkdir "$root/dev/shm" "$root/dev/pts"
mount -t tmpfs -o "size=$size" none "$root/dev/shm"
if mount -t devpts -o newinstance,ptmxmode=666 none "$root/dev/pts" 2>/dev/null; then ln -s pts/ptmx "$root/dev/ptmx"; fi
mount -t proc proc "$root/proc"
for name in sys sysrq-trigger irq bus; do
  if [ -e "$root/proc/$name" ]; then
    mount --bind "$root/proc/$name" "$root/proc/$name"
    mount -o remount,bind,ro,nosuid,nodev,noexec "$root/proc/$name"
  fi
done
open=:
while [ "$1" != -- ]; do
  as=$1 path=$2; shift 2
  case $as in empty | write) open="$open$path:" ;; esac
  if [ "$as" = empty ]; then
    [ -d "$root$path" ] || mkdir -p "$root$path"
    mount -t tmpfs -o "nosuid,nodev,mode=755,size=$size" none "$root$path"
    continue
  fi
  if [ -d "$path" ]; then [ -d "$root$path" ] || mkdir -p "$root$path"
  elif [ ! -e "$root$path" ]; then mkdir -p "$root\${path%/*}"; : >"$root$path"; fi
  if [ "$as" = blank ]; then mount --bind /dev/null "$root$path"; continue; fi
  mount --rbind "$path" "$root$path"
done
shift
old=$IFS
IFS='
'
set -f
for line in $(cat /proc/self/mountinfo); do
  IFS=' '; read -r _ _ _ _ at flags _ <<LINE
$line
LINE
  case $at in *\\\\*) at=$(printf %b_ "$at"); at=\${at%_} ;; esac
  case $at in "$root"/proc | "$root"/proc/* | "$root"/dev | "$root"/dev/*) continue ;; "$root" | "$root"/*) ;; *) continue ;; esac
  case $open in *":\${at#"$root"}:"*) continue ;; esac
  case $flags in ro | ro,*) continue ;; esac
  # what was mounted below the old /sys is listed there, too
  [ -e "$at" ] || continue
  mount -o "remount,bind,ro\${flags#rw}" "$at" 2>/dev/null || mount -t tmpfs -o ro,size=4k none "$at"
done
set +f
IFS=$old
cd "$root"
pivot_root . .
umount -l .
cd "$cwd"
set +e
PATH=$given
setpriv --no-new-privs --inh-caps=-all --ambient-caps=-all --bounding-set=-all -- "$@"
exit $?`;

export function namespacesArgv(
  argv: readonly string[],
  { mounts, cwd, network, tmpBytes }: Containment,
): [string, ...string[]] {
  const user = getuid?.() === 0 ? [] : ["--user", "--map-current-user", "--keep-caps"];
  const placed = mounts.flatMap(({ path, as }) => [as, path]);
  const up = network ? "" : (loopbackUp() ?? "");
  return [
    "unshare",
    ...user,
    ...["--mount", "--pid", "--fork", "--ipc"],
    ...(network ? [] : ["--net"]),
    ...["--", "/bin/sh", "-c", script, "contain", cwd, String(tmpBytes), up],
    ...placed,
    "--",
    ...argv,
  ];
}

/** Programs that bring up the loopback of a new network, without which not even a test's own server is reached. */
const loopbackWays: readonly [program: string, line: string][] = [
  ["ip", "ip link set lo up"],
  ["ifconfig", "ifconfig lo up"],
  [
    "perl",
    `perl -MSocket -e 'socket(S,AF_INET,SOCK_DGRAM,0); ioctl(S,0x8914,pack("a16 s x14","lo",0x49)) or exit 1'`,
  ],
];
let way: string | null | undefined;

/** Null: there is none. */
function loopbackUp(): string | null {
  way ??=
    loopbackWays.find(
      ([program]) => spawnSync("/bin/sh", ["-c", `command -v ${program}`]).status === 0,
    )?.[1] ?? null;
  return way;
}

/** Whether the machine has the programs; whether it lets them is seen by trying. */
export const canBringLoopbackUp = (): boolean => loopbackUp() !== null;
