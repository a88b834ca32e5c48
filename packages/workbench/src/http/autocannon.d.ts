/** What is used of autocannon 9, which brings no types. */
declare module "autocannon" {
  import type { EventEmitter } from "node:events";

  type Options = {
    url: string;
    connections: number;
    /** Seconds. */
    duration: number;
    /** Milliseconds. */
    sampleInt: number;
    overallRate?: number;
    ignoreCoordinatedOmission?: boolean;
    method: string;
    body?: string;
    headers: Record<string, string>;
    /** Asked of the body of each answer whether it is a right one. */
    verifyBody?: (body: unknown) => boolean;
  };

  type Result = {
    errors: number;
    latency: Record<string, number>;
    requests: Record<string, number>;
    throughput: Record<string, number>;
  };

  /**
   * Runs a load. Emits `start`; `response` with the client, the status, the bytes and the milliseconds of each answer; and
   * `done`.
   */
  function autocannon(options: Options, done: (error: Error | null, result: Result) => void): EventEmitter;
  export = autocannon;
}
