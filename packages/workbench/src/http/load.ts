import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { HttpTarget } from "@questbus/protocol";
import autocannon from "autocannon";

/**
 * A program of its own, so that the load is in no other process: runs autocannon as the file says that it is given, and
 * prints its JSON. What autocannon rounds is replaced by what was measured: its latencies are whole milliseconds, which
 * says nothing of a fast server, and its rates are means of whole seconds.
 */
export type LoadOrder = {
  url: string;
  load: HttpTarget["load"];
  /** Answers whose time is kept; more end the load. */
  answersMax: number;
  /** Whether a line DIGEST tells which bodies were answered, if they are not too many. */
  digest: boolean;
};

/** Bodies of which each is another. With more of them there is no digest: which of them came would be a matter of time. */
const bodiesMax = 1_000;
const hashOf = (content: string | Buffer): string => createHash("sha256").update(content).digest("hex");

/** Percentiles that autocannon names; each needs a sample above it. */
const percentiles = {
  p1: 1,
  p2_5: 2.5,
  p10: 10,
  p25: 25,
  p50: 50,
  p75: 75,
  p90: 90,
  p95: 95,
  p97_5: 97.5,
  p99: 99,
  p99_9: 99.9,
  p99_99: 99.99,
} as const;

/** Milliseconds of each answer, in a list that grows by doubling. */
function openTimes(countMax: number) {
  let list = new Float64Array(65_536);
  let count = 0;
  return {
    push(value: number): void {
      if (count >= countMax) throw new Error("more answers than can be kept: make the load shorter");
      if (count === list.length) {
        const larger = new Float64Array(count * 2);
        larger.set(list);
        list = larger;
      }
      list[count] = value;
      count += 1;
    },
    sorted: (): Float64Array => list.slice(0, count).sort(),
  };
}

/** Definition 7 of Hyndman & Fan, as everywhere in Questbus. */
function latencyOf(sorted: Float64Array): Record<string, number> {
  const at = (share: number): number => {
    const place = (sorted.length - 1) * share;
    const below = sorted[Math.floor(place)] as number;
    return below + ((sorted[Math.ceil(place)] as number) - below) * (place - Math.floor(place));
  };
  const known = Object.entries(percentiles).filter(
    ([, p]) => p <= 50 || sorted.length * (100 - p) >= 100 - 1e-6,
  );
  const mean = sorted.reduce((sum, each) => sum + each / sorted.length, 0);
  return {
    mean,
    average: mean,
    min: at(0),
    max: at(1),
    totalCount: sorted.length,
    ...Object.fromEntries(known.map(([name, p]) => [name, at(p / 100)])),
  };
}

async function runLoad(
  { url, load, answersMax, digest }: LoadOrder,
  durationMs: number,
  bodies: Set<string>,
): Promise<unknown> {
  const times = openTimes(answersMax);
  let startMs = performance.now();
  const ran = await new Promise<{ result: Parameters<Parameters<typeof autocannon>[1]>[1]; seconds: number }>(
    (done, fail) => {
      const run = autocannon(
        {
          url,
          connections: load.connections,
          duration: durationMs / 1_000,
          // How often it looks whether the time is over.
          sampleInt: 50,
          method: load.method,
          headers: load.headers,
          ...(load.body === null ? {} : { body: load.body }),
          ...(digest ? { setupClient: keepBytes, verifyBody: (body: unknown) => kept(bodies, body) } : {}),
          // Its correction for a given rate takes every request for one of a millisecond's interval.
          ...(load.rate === null ? {} : { overallRate: load.rate, ignoreCoordinatedOmission: true }),
        },
        (error, result) =>
          error ? fail(error) : done({ result, seconds: (performance.now() - startMs) / 1_000 }),
      );
      run.on("start", () => {
        startMs = performance.now();
      });
      run.on("response", (_client: unknown, _status: number, _bytes: number, ms: number) => times.push(ms));
    },
  );
  const { result, seconds } = ran;
  const sorted = times.sorted();
  const rateOf = (total: number | undefined) => ({
    mean: (total ?? 0) / seconds,
    average: (total ?? 0) / seconds,
  });
  return {
    ...result,
    latency: sorted.length > 0 ? latencyOf(sorted) : {},
    requests: { total: result.requests.total, sent: result.requests.sent, ...rateOf(result.requests.total) },
    throughput: { total: result.throughput.total, ...rateOf(result.throughput.total) },
  };
}

/**
 * autocannon appends each piece of a body to a text, as UTF-8: what is none, or is cut within a character, would be lost.
 * As latin1 each byte stays.
 */
function keepBytes(client: unknown): void {
  const { pipelinedRequests } = client as { pipelinedRequests: { addBody(piece: Buffer | string): void } };
  const add = pipelinedRequests.addBody.bind(pipelinedRequests);
  pipelinedRequests.addBody = (piece) => add(piece.toString("latin1"));
}

/** Keeps the hash of a body, and of one too many; a body may be any. */
function kept(bodies: Set<string>, body: unknown): true {
  if (bodies.size <= bodiesMax) bodies.add(hashOf(Buffer.from(String(body ?? ""), "latin1")));
  return true;
}

const order = JSON.parse(await readFile(process.argv[2] as string, "utf8")) as LoadOrder;
const bodies = new Set<string>();
if (order.load.warmupMs > 0) await runLoad(order, order.load.warmupMs, bodies);
const result = await runLoad(order, order.load.durationMs, bodies);
if (order.digest && bodies.size <= bodiesMax)
  process.stdout.write(`DIGEST ${hashOf([...bodies].sort().join())}\n`);
process.stdout.write(`${JSON.stringify(result)}\n`);
