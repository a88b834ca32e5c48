import type { ChildProcess } from "node:child_process";
import { limit } from "@questbus/protocol";

/** A renewal is due that often, and an agent that is silent for a lease and one more has lost what it held. */
const silentMsMax = limit.leaseMs + limit.renewEveryMs;
/** What the child said while this process itself was paused is heard first. */
const hearMs = 500;

/**
 * Ends a child (SIGKILL) that has said nothing for longer than a lease: stopped, or stuck in a loop, it cannot end what it
 * runs, and its successor can. A child that has not spoken yet is starting.
 */
export function endWhenSilent(child: ChildProcess): void {
  let timer: NodeJS.Timeout | undefined;
  const end = (): void => void child.kill("SIGKILL");
  const ask = (): void => {
    timer = setTimeout(end, hearMs);
  };
  child.on("message", () => {
    clearTimeout(timer);
    timer = setTimeout(ask, silentMsMax);
  });
  child.once("exit", () => clearTimeout(timer));
}
