import type { BusConnection } from "./connection.ts";

/** Who is connected to the broker now, as it says itself; asked with the system's credential. */

const subject = "$SYS.REQ.SERVER.PING.CONNZ";
/** More than the bus is meant for; further ones are not told. */
const connectionsMax = 16_384;
const answer = { waitMs: 1_000, stallMs: 150 } as const;

type Connz = { data?: { connections?: { authorized_user?: string; nkey?: string }[] } };

/** The public keys of those who are connected, to any node of a cluster. */
export async function connectedKeys({ nats }: BusConnection): Promise<ReadonlySet<string>> {
  const asked = JSON.stringify({ auth: true, limit: connectionsMax });
  const answers = await nats.requestMany(subject, asked, {
    strategy: "stall",
    maxWait: answer.waitMs,
    stall: answer.stallMs,
  });
  const keys = new Set<string>();
  for await (const each of answers)
    for (const { authorized_user, nkey } of (each.json() as Connz).data?.connections ?? [])
      keys.add(nkey ?? authorized_user ?? "");
  return keys;
}
