import { readdirSync, readlinkSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { statOf } from "../proc.ts";

/** The network that a server stands in: the machine's, or that of its sandbox, which is joined to ask it. */

const pollMs = 5;

/** The words before a program that is to run in the server's network; null when the server ended before it was there. */
export async function joinNetwork(
  group: () => number | null,
  over: AbortSignal,
): Promise<readonly string[] | null> {
  while (!over.aborted) {
    const leader = group();
    const member = leader === null ? undefined : membersOf(leader).find(isApart);
    if (member !== undefined) {
      const user = process.getuid?.() === 0 ? [] : ["--user", "--preserve-credentials"];
      return ["nsenter", "--target", String(member), ...user, "--net", "--"];
    }
    await delay(pollMs, undefined, { signal: over }).catch(() => {});
  }
  return null;
}

const membersOf = (group: number): number[] =>
  readdirSync("/proc")
    .map(Number)
    .filter((pid) => Number.isInteger(pid) && statOf(pid)?.group === group);

function isApart(pid: number): boolean {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`) !== readlinkSync("/proc/self/ns/net");
  } catch {
    return false;
  }
}
