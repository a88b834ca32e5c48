import type { Mount } from "./mount.ts";

/** How one command is shut in. */
export type Containment = {
  mounts: readonly Mount[];
  cwd: string;
  /** False: a network of its own, with nothing but its own loopback. */
  network: boolean;
  tmpBytes: number;
  /** Whether user namespaces can be made inside; somebody outside could not join its network otherwise. */
  nested: boolean;
};
