import { z } from "zod";
import { limit } from "./limit.ts";
import { splitSource } from "./measure.ts";
import { durationText, parseDurationMs, parsePercent, percentText } from "./quantity.ts";

/** A target that serves HTTP: how it is started, when it is ready, and the load it is measured under. */

/** Hosts of this machine, and of no other. */
const loopback = ["127.0.0.1", "localhost", "[::1]"];

/** A path of the target, or a URL on this machine. */
const place = z
  .string()
  .min(1)
  .max(2_000)
  .refine((text) => text.startsWith("/") || isLoopback(text), {
    error: "a path such as /health, or an http URL of this machine",
  });

function isLoopback(text: string): boolean {
  const url = URL.canParse(text) ? new URL(text) : null;
  return url?.protocol === "http:" && loopback.includes(url.hostname) && !url.username && !url.password;
}

const headers = z
  .record(
    z.string().regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}$/, { error: "a header name" }),
    z
      .string()
      .max(4_000)
      .regex(/^[^\r\n\0]*$/, { error: "one line only" }),
  )
  .default({});

const load = z.strictObject({
  url: place.default("/"),
  connections: z.int().min(1).max(limit.connectionsMax).default(10),
  duration: durationText
    .default("5s")
    .refine((text) => fits(text), { error: "a load of ten minutes at most" })
    .meta({ description: "How long it is measured, in each run." }),
  warmup: durationText
    .optional()
    .refine((text) => text === undefined || fits(text), { error: "a load of ten minutes at most" })
    .meta({ description: "The same load before that, which is not measured." }),
  rate: z
    .int()
    .min(1)
    .max(1_000_000)
    .optional()
    .meta({ description: "Requests a second at most, over all connections; as many as it takes without." }),
  method: z.enum(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]).default("GET"),
  body: z.string().max(limit.requestBodyCharsMax).optional(),
  headers,
});

const fits = (text: string): boolean =>
  !durationText.safeParse(text).success || parseDurationMs(text) <= limit.loadMsMax;

export const httpTarget = z.strictObject({
  start: z.string().trim().min(1).max(4_000).meta({
    description: "Starts the server, which listens on the port in the environment variable PORT.",
  }),
  ready: place.default("/").meta({ description: "Asked until it answers below 400; then the load begins." }),
  port: z
    .int()
    .min(1)
    .max(65_535)
    .optional()
    .meta({ description: "Where it listens, if it cannot take PORT; a free port for each run without." }),
  timeout: durationText.default("10s").meta({ description: "For the server to become ready." }),
  load: load.prefault({}),
  errorsMax: percentText.default("0%").meta({
    description: "The share of requests that may fail (an error, a timeout, an answer other than 2xx).",
  }),
  digest: z.boolean().default(false).meta({
    description:
      "The run's DIGEST is a hash of every different body that it was answered with. For a server that answers one request always with the same.",
  }),
});

/** {@link httpTarget} in plain units. */
export type HttpTarget = {
  start: string;
  ready: string;
  port: number | null;
  readyMs: number;
  load: {
    url: string;
    connections: number;
    durationMs: number;
    warmupMs: number;
    rate: number | null;
    method: string;
    body: string | null;
    headers: Readonly<Record<string, string>>;
  };
  /** A fraction. */
  errorsMax: number;
  /** Whether the answers are hashed as the run's digest; absent: no. */
  digest?: boolean | undefined;
};

export const normaliseHttp = (target: z.output<typeof httpTarget>): HttpTarget => ({
  start: target.start,
  ready: target.ready,
  port: target.port ?? null,
  readyMs: parseDurationMs(target.timeout),
  load: {
    url: target.load.url,
    connections: target.load.connections,
    durationMs: parseDurationMs(target.load.duration),
    warmupMs: target.load.warmup ? parseDurationMs(target.load.warmup) : 0,
    rate: target.load.rate ?? null,
    method: target.load.method,
    body: target.load.body ?? null,
    headers: target.load.headers,
  },
  errorsMax: parsePercent(target.errorsMax),
  ...(target.digest ? { digest: true } : {}),
});

type Asked = { command?: string | undefined; output?: string | undefined; timeout: string; http?: unknown };

/** What is wrong with how a quest is measured as a whole, by the key that is at fault. */
export function measureProblems({
  command,
  output,
  http,
  timeout,
}: Asked): { key: string; message: string }[] {
  const both = command !== undefined && http !== undefined;
  const target = httpTarget.safeParse(http).data;
  const needed = target ? shortest(target) : 0;
  const within = durationText.safeParse(timeout).success
    ? parseDurationMs(timeout)
    : Number.POSITIVE_INFINITY;
  return [
    ...(both ? [{ key: "command", message: "write command or http, not both" }] : []),
    ...(command === undefined && http === undefined
      ? [{ key: "command", message: "missing; write the command that measures, or http for a server" }]
      : []),
    ...(http !== undefined && output !== undefined
      ? [{ key: "output", message: "a load has no file; remove output" }]
      : []),
    ...(needed > within
      ? [{ key: "timeout", message: `a run takes ${needed / 1000} s of load alone: allow more` }]
      : []),
  ];
}

const shortest = ({ load: { duration, warmup } }: z.output<typeof httpTarget>): number =>
  parseDurationMs(duration) + (warmup ? parseDurationMs(warmup) : 0);

const ofServers = ["autocannon", "max-rss", "cpu-time"];

/** What is wrong with a figure of a quest; null when nothing is. */
export function sourceProblem(from: string, isHttp: boolean): string | null {
  if (!isHttp || ofServers.includes(splitSource(from).format)) return null;
  return `of a server under load, read ${ofServers.join(", ").replace(/, (?=[^,]*$)/, " or ")}`;
}
