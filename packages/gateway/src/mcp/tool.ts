import { createHash } from "node:crypto";
import {
  type CommandData,
  canonicalText,
  type Fault,
  type Principal,
  pathText,
  QuestbusError,
  type Verb,
  verbsOf,
} from "@questbus/protocol";
import { z } from "zod";
import type { Gateway } from "../gateway.ts";
import type { Leases } from "./leases.ts";
import type { Told } from "./result.ts";

/** What a tool works with. */
export type Call = {
  gateway: Gateway;
  leases: Leases;
  /** Aborts when the client gives the call up. */
  signal: AbortSignal;
};

/** `destructive`: what it does cannot be taken back. `idempotent`: doing it twice does it once. */
type Hints = { readOnly?: true; destructive?: true; idempotent?: true };

export type Tool = {
  readonly name: string;
  readonly description: string;
  readonly hints: Hints;
  readonly input: z.ZodType;
  /** True for the roles whose credential can do anything with it. */
  allows(role: Principal): boolean;
  run(args: unknown, call: Call): Promise<Told>;
};

type Written<Shape extends z.ZodRawShape> = {
  name: string;
  description: string;
  hints: Hints;
  input: Shape;
  run(args: z.infer<z.ZodObject<Shape>>, call: Call): Promise<Told> | Told;
} & ({ verb: Verb } | { readers: readonly Principal[] });

/** A tool that sends a command is its senders' alone; one that reads names its readers. */
export function defineTool<Shape extends z.ZodRawShape>(written: Written<Shape>): Tool {
  const { name, description, hints } = written;
  const input = z.strictObject(written.input);
  return {
    name,
    description,
    hints,
    input,
    allows: (role) =>
      "verb" in written ? verbsOf[role].includes(written.verb) : written.readers.includes(role),
    async run(args, call) {
      const read = input.safeParse(args ?? {});
      if (read.success) return written.run(read.data as z.infer<z.ZodObject<Shape>>, call);
      const [first, ...rest] = read.error.issues.map(
        ({ path, message }): Fault => ({
          code: "MESSAGE_INVALID",
          message,
          where: pathText(path) || name,
          next: "see the tool's input schema, and call it again",
        }),
      );
      throw new QuestbusError(first as Fault, ...rest);
    },
  };
}

/** A UUID. */
const keyCharsMax = 36;
export const idempotencyKey = z
  .string()
  .regex(/^[\w.-]+$/)
  .max(keyCharsMax)
  .optional()
  .describe("same key and arguments, done once: for calling again after a lost answer");

/**
 * The id of a command that a client has named: its own, for this verb and what it says, however long it waits. A refusal is
 * kept under its id for good, so that a model which mends its answer and names it as before must get another.
 */
export function commandId<V extends Verb>(
  { role, name }: Gateway["who"],
  verb: V,
  data: CommandData[V],
  key: string | undefined,
): string | undefined {
  if (key === undefined) return undefined;
  const said = canonicalText(JSON.parse(JSON.stringify({ ...data, waitMs: 0 })));
  const digest = createHash("sha256").update(`${key}\n${said}`).digest("hex");
  return `mcp/${role}/${name}/${verb}/${digest.slice(0, digestChars)}`;
}
/** Half of a SHA-256; with role, name and verb before it, it fits an envelope's id. */
const digestChars = 32;

/** Sends a command as the gateway's credential. */
export async function send<V extends Verb>(
  { gateway }: Call,
  verb: V,
  data: CommandData[V],
  key?: string | undefined,
): Promise<unknown> {
  const client = await gateway.bus();
  return client.request(verb, data, { id: commandId(gateway.who, verb, data, key) });
}

/**
 * Sends what waits on the bus until it is handed something. When the client gives the call up, or is gone, that is
 * withdrawn, for else it would be handed to nobody: an agent waits once with each of these verbs, so that one that waits
 * for nothing ends it. Gives the answer, and that of the one that ended it.
 */
export async function sendAndWait<V extends "claim" | "monitor">(
  call: Call,
  verb: V,
  data: CommandData[V],
  key?: string | undefined,
): Promise<[answer: unknown, last: unknown]> {
  const { signal } = call;
  signal.throwIfAborted();
  let last: Promise<unknown> | null = null;
  const withdraw = (): void => {
    last = send(call, verb, { ...data, waitMs: 0 }).catch(() => null);
  };
  signal.addEventListener("abort", withdraw, { once: true });
  try {
    return [await send(call, verb, data, key), await last];
  } finally {
    signal.removeEventListener("abort", withdraw);
  }
}

export const page = (most: number, usual: number) => ({
  cursor: z.string().max(64).optional().describe("next_cursor of the page before"),
  limit: z.int().min(1).max(most).default(usual),
});

/** What somebody writes in words or as JSON, in a schema that says more than nothing: some clients refuse one that takes all. */
export const anyJson = z.union([z.string(), z.number(), z.boolean(), z.looseObject({})]);
