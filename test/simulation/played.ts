import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { compileCache } from "@questbus/testkit";
import type { Mutation } from "./mutations.ts";

const program = fileURLToPath(new URL("play.ts", import.meta.url));
const preload = fileURLToPath(new URL("mutate-preload.ts", import.meta.url));

export type Played = {
  worlds: number;
  crashes: number;
  rows: number;
  broken: number | null;
  problems: string[];
};

/** Plays worlds in a process of its own, with a bug planted or none, until one is broken or `count` were played. */
export function playWorlds(first: number, count: number, mutation?: Mutation): Promise<Played> {
  const args = [...(mutation ? [`--import=${preload}`] : []), program, String(first), String(count)];
  const env = {
    ...process.env,
    NODE_COMPILE_CACHE: compileCache,
    ...(mutation ? { QUESTBUS_MUTATION: mutation.name } : {}),
  };
  return new Promise((done, fail) => {
    const child = spawn(process.execPath, args, { env, stdio: ["ignore", "pipe", "pipe"] });
    const text = { stdout: "", stderr: "" };
    for (const name of ["stdout", "stderr"] as const)
      child[name].setEncoding("utf8").on("data", (chunk: string) => {
        text[name] += chunk;
      });
    child.once("error", fail);
    child.once("close", () => {
      const last = text.stdout.trimEnd().split("\n").at(-1) ?? "";
      if (last.startsWith("{")) done(JSON.parse(last) as Played);
      else
        fail(
          new Error(`the simulation did not come to its end: ${(text.stderr || text.stdout).slice(-2_000)}`),
        );
    });
  });
}
