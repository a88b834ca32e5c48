import { QuestbusError } from "@questbus/protocol";

/**
 * The broker that NATS_URL names, without user and password: credentials are nkeys in files, and an address is shown,
 * logged and passed on.
 *
 * @throws QuestbusError USAGE when it is not one address
 */
export function givenBroker(env: NodeJS.ProcessEnv): string | null {
  const text = env.NATS_URL?.trim();
  if (!text) return null;
  const withScheme = text.includes("://") ? text : `nats://${text}`;
  const url = URL.canParse(withScheme) ? new URL(withScheme) : null;
  if (url?.hostname && !text.includes(",")) return `${url.protocol}//${url.host}`;
  throw new QuestbusError({
    code: "USAGE",
    message: "NATS_URL is not the address of one broker",
    next: "write it as nats://127.0.0.1:4222, or unset it to use the bundled broker",
  });
}
