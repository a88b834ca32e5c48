import { join, resolve } from "node:path";
import {
  type BusClient,
  type BusConnection,
  type Credential,
  connectBus,
  createClient,
  credentialRefused,
  listCredentials,
} from "@questbus/bus";
import type { Gateway } from "@questbus/gateway";
import { openStore, type StoreReader } from "@questbus/store";
import { openArtifacts } from "@questbus/workbench";
import { storeDirOf } from "./cluster-state.ts";
import { approvalRows, shownWithDiff } from "./command-approval.ts";
import { shownLetter } from "./command-dead.ts";
import { cancelOn } from "./command-run.ts";
import { readSubmission } from "./quest-file.ts";
import { agentRows, escalationRows, questRows, summarizedQuest } from "./read-rows.ts";
import { withStore } from "./session.ts";
import { findStack, notRunning } from "./stack-record.ts";

export type OpenGateway = Gateway & { close(): Promise<void> };

/**
 * One credential's gateway to the stack of a state directory. An MCP client starts it when the client starts, so the stack may
 * come later, end, and come again at another address: each call looks where it is now.
 */
export function openGateway(
  state: string,
  who: Gateway["who"],
  credential: Credential | string,
): OpenGateway {
  const stateDir = resolve(state);
  const bus = openBus(stateDir, credential);
  const artifacts = openArtifacts(join(stateDir, "artifacts"));
  const read = <T>(work: (store: StoreReader) => T): T => {
    refuseRevoked(stateDir, credential);
    return withStore(stateDir, work);
  };
  return {
    who,
    bus: bus.client,
    close: bus.close,
    reads: {
      quests: ({ limit, before }) =>
        read((store) => questRows(store, { limit, ...(before ? { before } : {}) })),
      quest: (id) => read((store) => summarizedQuest(store, id)),
      escalations: () => read(escalationRows),
      approvals: () => read((store) => approvalRows(store, false)),
      approval: (id) => {
        refuseRevoked(stateDir, credential);
        return shownWithDiff(id, stateDir);
      },
      agents: () => {
        refuseRevoked(stateDir, credential);
        return agentRows(stateDir);
      },
      assignment: (id) => read((store) => store.getAssignment(id)),
      journal: ({ afterSeq, limit, quest }) =>
        read((store) => store.readJournal({ afterSeq, limit, ...(quest ? { quest } : {}) })),
      deadLetters: (limit) => read((store) => store.listDead({ all: false, limit }).map(shownLetter)),
    },
    hands: {
      async readSubmission(file, acceptDetectable) {
        const { command, storePatches } = await readSubmission(file, { acceptDetectable });
        await storePatches(stateDir);
        return command;
      },
      async cancel(client, command, id) {
        const store = openStore({ dir: storeDirOf(stateDir), mode: "read" });
        try {
          const { answer, ended } = await cancelOn(client, command, { store, stateDir, id });
          return { ...answer, commands_ended: ended };
        } finally {
          store.close();
        }
      },
      route: async (text) => (await import("./route.ts")).routeRequest(text),
      putArtifact: artifacts.put,
    },
  };
}

/** Whose credential is no longer in the state directory reads nothing of it; the operator's own may not be made yet. */
function refuseRevoked(stateDir: string, credential: Credential | string): void {
  if (typeof credential === "string") return;
  const isThere = listCredentials(stateDir).some(({ publicKey }) => publicKey === credential.publicKey);
  if (!isThere) throw credentialRefused(credential);
}

type Link = { connection: BusConnection; client: BusClient };

/** A connection to the stack that runs now; another one where it was started anew meanwhile. */
function openBus(stateDir: string, credential: Credential | string) {
  let open: { id: string; connecting: Promise<Link>; link: Link | null } | null = null;
  const connect = async (url: string, space: string): Promise<Link> => {
    const connection = await connectBus({ url, space, credential });
    return { connection, client: createClient(connection) };
  };
  const close = async (): Promise<void> => {
    const last = open;
    open = null;
    await last?.connecting.then(({ connection }) => connection.close()).catch(() => {});
  };
  return {
    close,
    async client(): Promise<BusClient> {
      // While it is up, it is the stack's that runs: nothing has to be looked for.
      if (open?.link?.connection.isUp()) return open.link.client;
      const stack = findStack(stateDir);
      if (!stack) throw notRunning(stateDir);
      if (open?.id !== stack.id) {
        void close();
        const next: NonNullable<typeof open> = {
          id: stack.id,
          connecting: connect(stack.url, stack.space),
          link: null,
        };
        open = next;
        next.connecting.then(
          (link) => {
            next.link = link;
            // One that is closed for good never comes back.
            void link.connection.closed.then(() => {
              if (open === next) open = null;
            });
          },
          () => {
            if (open === next) open = null;
          },
        );
      }
      return (await open.connecting).client;
    },
  };
}
