import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { type Broker, type BrokerOptions, startBroker } from "./broker.ts";
import type { Credentials } from "./credential.ts";

/** The brokers of a cluster on this machine: one a node, each on ports of its own that it keeps when it is started again. */
export type BrokerNodes = {
  /** The addresses of all, with commas; those of `first` in front. */
  urlFor(first?: string): string;
  /** Starts the broker of one node. */
  start(node: string, onLog?: (line: string) => void): Promise<Broker>;
};

type Options = Omit<BrokerOptions, "port" | "cluster" | "onLog" | "credentials"> & {
  /** Asked at each start: agents come and go. */
  credentials: () => Credentials;
  nodes: readonly string[];
  /** By which they know each other. */
  secret: string;
};

/** The folder of one node below the cluster's state directory. */
export const nodeDir = (dir: string, node: string): string => join(dir, node);

export async function planBrokers({
  nodes,
  secret,
  dir,
  credentials,
  ...options
}: Options): Promise<BrokerNodes> {
  const ports = await freePorts(2 * nodes.length);
  const portOf = (node: string): number => ports[nodes.indexOf(node)] as number;
  const routePorts = ports.slice(nodes.length);
  const urlOf = (node: string): string => `nats://127.0.0.1:${portOf(node)}`;
  return {
    urlFor: (first) =>
      [...nodes]
        .sort((a, b) => Number(b === first) - Number(a === first))
        .map(urlOf)
        .join(","),
    start(node, onLog) {
      const routePort = routePorts[nodes.indexOf(node)] as number;
      return startBroker({
        ...options,
        onLog,
        credentials: credentials(),
        dir: nodeDir(dir, node),
        port: portOf(node),
        cluster: { node, routePort, routePorts, secret },
      });
    },
  };
}

/** Ports that are free now, all different. */
async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, "127.0.0.1"));
  await Promise.all(servers.map((server) => once(server, "listening")));
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => once(server.close(), "close")));
  return ports;
}
