import { connectBus, connectedKeys, credentialPath } from "@questbus/bus";
import type { StackAddress } from "./stack-record.ts";

/** Who is connected, by public key; null where the broker does not say. */
export async function keysOf({ url, space }: StackAddress, dir: string): Promise<ReadonlySet<string> | null> {
  try {
    const credential = credentialPath(dir, "system", "main");
    const connection = await connectBus({ url, space, credential });
    try {
      return await connectedKeys(connection);
    } finally {
      await connection.close();
    }
  } catch {
    return null;
  }
}
