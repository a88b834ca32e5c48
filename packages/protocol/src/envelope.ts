import { z } from "zod";

/**
 * Every message is a CloudEvent in structured JSON (CloudEvents 1.0.2, JSON format), so that any language can read
 * it. `traceparent` follows W3C Trace Context.
 */
export const envelope = z.object({
  specversion: z.literal("1.0"),
  id: z.string().min(1).max(128),
  type: z.string().regex(/^questbus\.[a-z]+(\.[a-z-]+)+\.v\d+$/),
  source: z.string().min(1).max(256),
  subject: z.string().min(1).max(256).optional(),
  time: z.iso.datetime(),
  dataschema: z.string().min(1).max(256),
  datacontenttype: z.literal("application/json").default("application/json"),
  traceparent: z
    .string()
    .regex(/^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/)
    .optional(),
  data: z.unknown(),
});
export type Envelope = z.infer<typeof envelope>;

type Head = { id: string; source: string; timeMs: number; subject?: string; traceparent?: string };

/** Wraps the data of a command or event; `name` is such as `command.claim` or `event.quest.submitted`. */
export function wrap(name: string, head: Head, data: unknown): Envelope {
  return {
    specversion: "1.0",
    id: head.id,
    type: `questbus.${name}.v1`,
    source: head.source,
    ...(head.subject ? { subject: head.subject } : {}),
    time: new Date(head.timeMs).toISOString(),
    dataschema: `questbus:${name}.v1`,
    datacontenttype: "application/json",
    ...(head.traceparent ? { traceparent: head.traceparent } : {}),
    data,
  };
}
