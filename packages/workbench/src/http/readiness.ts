import { setTimeout as delay } from "node:timers/promises";

/** The wait until a server that is measured answers. Nothing large is imported: see `ready.ts`, which is begun for each run. */

const probeEveryMs = 20;
const probeTimeoutMs = 1_000;
/** Both ways to say this machine; a server on `localhost` may listen on either. */
const hosts = ["127.0.0.1", "[::1]"];

/** The URLs that a path may mean on a port; a URL means itself. */
export const urlsOf = (place: string, port: number): string[] =>
  place.startsWith("/") ? hosts.map((host) => `http://${host}:${port}${place}`) : [place];

/**
 * Asks the URLs in turn until one answers below 400, and answers with that one; null when the time is over or `signal`
 * aborts.
 */
export async function untilReady(
  urls: readonly string[],
  withinMs: number,
  signal: AbortSignal,
): Promise<{ url: string } | { last: string }> {
  const endMs = performance.now() + withinMs;
  let last: Answer = { ready: false, status: 0, text: "it was never asked" };
  while (performance.now() < endMs && !signal.aborted) {
    for (const url of urls) {
      const answer = await probe(url, signal);
      if (answer.ready) return { url };
      if (answer.status >= last.status) last = answer;
    }
    await delay(probeEveryMs, undefined, { signal }).catch(() => {});
  }
  return { last: last.text };
}

/** Status 0: none came. */
type Answer = { ready: boolean; status: number; text: string };

/** One GET; redirects are answers. */
async function probe(url: string, signal: AbortSignal): Promise<Answer> {
  // Here, because importing it takes as long as a tenth of all that the command line starts with.
  const { request } = await import("node:http");
  return new Promise((done) => {
    const asked = request(url, { signal, timeout: probeTimeoutMs, agent: false }, (answer) => {
      const status = answer.statusCode ?? 0;
      answer.resume();
      answer.once("close", () =>
        done({ ready: status > 0 && status < 400, status, text: `${url} answers ${status}` }),
      );
    });
    asked.once("timeout", () => asked.destroy(new Error("no answer in a second")));
    asked.once("error", (error) => done({ ready: false, status: 0, text: `${url}: ${error.message}` }));
    asked.end();
  });
}
