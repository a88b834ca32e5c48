import { once } from "node:events";
import { createServer } from "node:net";
import { QuestbusError } from "@questbus/protocol";

/**
 * A loopback port on which nobody listens: the one that is asked for, else any.
 * @throws BENCH_FAILED when somebody does: it would be measured in place of the target
 */
export async function freePort(wanted: number | null): Promise<number> {
  const server = createServer();
  try {
    server.listen({ port: wanted ?? 0, host: "127.0.0.1" });
    await once(server, "listening");
    const address = server.address();
    if (typeof address === "object" && address !== null) return address.port;
    throw new Error("no port");
  } catch {
    throw new QuestbusError({
      code: "BENCH_FAILED",
      message: `something else listens on port ${wanted}`,
      where: "measure.http.port",
      next: "stop it, or leave the port out and let the server take PORT",
    });
  } finally {
    server.close();
  }
}
