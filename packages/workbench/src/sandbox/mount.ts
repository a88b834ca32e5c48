import { existsSync, readdirSync, readFileSync, realpathSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { basename, delimiter, dirname, join, resolve } from "node:path";
import { toolchains } from "../run-home.ts";

/**
 * What a sandboxed command sees of the file system: all of it, read-only, but for the mounts of a plan. Where other
 * people's files stand, and sockets and temporary files, it sees nothing; what it needs of these places is put back.
 */
export type Mount = {
  path: string;
  /** `empty`: a new file system in memory; `blank`: a file of which nothing can be read. */
  as: "empty" | "blank" | "read" | "write";
};

/** What is asked of a plan; paths that are not there are left out of it. */
export type MountNeeds = { hidden: readonly string[]; reads: readonly string[]; writes: readonly string[] };

/** Homes, sockets, and what is left lying about. */
const hiddenPlaces = ["/home", "/root", "/run", "/tmp", "/var/tmp"];

/** Which mount counts where two have one path. */
const rank: Record<Mount["as"], number> = { write: 3, blank: 2, empty: 1, read: 0 };
const depthOf = (path: string): number => path.split("/").filter(Boolean).length;

/** The mounts in the order in which they are made: what is below another comes after it. Pure. */
export function planMounts(wanted: readonly Mount[]): Mount[] {
  const byPath = new Map<string, Mount>();
  for (const each of wanted) {
    const known = byPath.get(each.path);
    if (!known || rank[known.as] < rank[each.as]) byPath.set(each.path, each);
  }
  return [...byPath.values()]
    .filter(({ path }) => path !== "/")
    .sort((a, b) => depthOf(a.path) - depthOf(b.path) || (a.path < b.path ? -1 : 1));
}

/** The plan for one command. */
export function mountsFor({ hidden, reads, writes }: MountNeeds): Mount[] {
  const empty = [
    ...new Set([...hiddenPlaces, homedir(), tmpdir(), ...hidden].filter(existsSync).map(realPath)),
  ];
  const isHidden = (path: string): boolean => empty.some((place) => path.startsWith(`${place}/`));
  const as = (kind: Mount["as"], paths: readonly string[]): Mount[] =>
    paths.flatMap((path) => (existsSync(path) ? [{ path: placeOf(path), as: kind }] : []));
  return planMounts([
    ...as("empty", empty),
    ...as("blank", secretFiles()),
    // everything else can be read as it is
    ...as("read", reads).filter(({ path }) => isHidden(path)),
    ...as("write", writes.map(realPath)),
  ]);
}

const realPath = (path: string): string => (existsSync(path) ? realpathSync(path) : path);

/** A link is put back as what it names, at its own place. */
function placeOf(path: string): string {
  const full = resolve(path);
  return full === "/" ? full : join(realpathSync(dirname(full)), basename(full));
}

/** Files of the machine that its root can read, also without any privilege. */
function secretFiles(): string[] {
  const keys = (existsSync("/etc/ssh") ? readdirSync("/etc/ssh") : []).filter((name) =>
    name.endsWith("_key"),
  );
  const cargo = process.env.CARGO_HOME ?? join(homedir(), ".cargo");
  return [
    ...["shadow", "gshadow", "shadow-", "gshadow-", "sudoers", "krb5.keytab"].map((name) =>
      join("/etc", name),
    ),
    ...keys.map((name) => join("/etc/ssh", name)),
    ...["credentials", "credentials.toml"].map((name) => join(cargo, name)),
  ];
}

const known = new Map<string, string[]>();

/** Where the programs of PATH stand: its folders, the libraries beside them, and what links in them name. */
export function programPlaces(path: string): string[] {
  const places = known.get(path) ?? [
    ...new Set([
      ...path
        .split(delimiter)
        .filter((folder) => folder.startsWith("/"))
        .flatMap(placesOfFolder),
      // ours, which a quest may name
      ...besides(dirname(process.execPath)),
    ]),
  ];
  known.set(path, places);
  return places;
}

function placesOfFolder(folder: string): string[] {
  // the usual folders are not hidden
  if (!existsSync(folder) || folder.startsWith("/usr/")) return [];
  const linked = readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isSymbolicLink())
    .map((entry) => realPath(join(folder, entry.name)));
  return [...besides(folder), ...linked.flatMap(packageOf)];
}

/** Not all that is beside a folder of programs: credentials may be. */
const besides = (folder: string): string[] =>
  basename(folder) === "bin"
    ? [folder, ...["lib", "libexec", "include"].map((name) => join(dirname(folder), name))]
    : [folder];

/** What a program needs beside itself: the packages that its own stands among, or the folder it was installed in. */
function packageOf(program: string): string[] {
  const modules = /^.*?\/node_modules(?=\/)/.exec(program)?.[0];
  return modules === undefined ? besides(dirname(program)) : [modules];
}

/** What variables of the environment point at: toolchains, certificates. */
export const toolPlaces = (env: Readonly<Record<string, string>>): string[] =>
  [...toolchains.map(([name]) => name), "NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "SSL_CERT_DIR"].flatMap(
    (name) => env[name] ?? [],
  );

/** How names of hosts are found, which may stand below /run. */
export const resolverPlaces = (): string[] =>
  existsSync("/etc/resolv.conf") ? [realpathSync("/etc/resolv.conf")] : [];

/**
 * The objects that the git of a tree reads from others: its quest's, and the target's. They are named by what stands
 * above the tree, where no command can write, and not by the tree itself.
 */
export function objectPlaces(cwd: string): string[] {
  for (let dir = dirname(cwd), levels = 0; levels < 6 && dir !== "/"; dir = dirname(dir), levels += 1) {
    const objects = join(dir, "repo.git", "objects");
    if (!existsSync(objects)) continue;
    const alternates = join(objects, "info", "alternates");
    const lines = existsSync(alternates) ? readFileSync(alternates, "utf8").split("\n") : [];
    return [objects, ...lines.filter((line) => line.startsWith("/"))];
  }
  return [];
}
