import type { Msg } from "@nats-io/transport-node";
import { type Answer, commandsAll, type Fault, faultsOf } from "@questbus/protocol";
import { servingSubject } from "./account.ts";
import type { BusConnection } from "./connection.ts";
import { type DeadMessage, type ReadCommand, readCommand } from "./incoming.ts";

/**
 * The orchestrator's side of the bus: every command of the space, read and checked.
 *
 * - C1: a message reaches `onCommand` only when its envelope and its data are valid.
 * - C2: any other reaches `onDead` with the reasons, and its sender is answered with every fault.
 * - C3: nothing that a message holds can end the subscription.
 *
 * Whether the sender may do it, and whether it did it before, is decided by the receiver.
 */

/** A valid command; `respond` answers its sender, once. */
export type Command = ReadCommand & { respond(answer: Answer): void };

export type CommandHandlers = {
  onCommand(command: Command): void;
  onDead(dead: DeadMessage): void;
  /** Every answer leaves through it, refusals too: at once by default. */
  release?: (leave: () => void) => void;
};

const refusal = (faults: readonly Fault[]): Answer => ({
  ok: false,
  faults: faults.map((fault) => ({ ...fault })),
  retryable: false,
});

/** False when the sender wants no answer, or the connection is gone; the sender asks again then. */
function send(message: Msg, answer: Answer): boolean {
  try {
    return message.respond(JSON.stringify(answer));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    if (!why.includes("max_payload")) return false;
    return message.respond(
      JSON.stringify(
        refusal([{ code: "MESSAGE_TOO_LARGE", message: "the answer is too large for the bus" }]),
      ),
    );
  }
}

function receive(message: Msg, handlers: CommandHandlers): void {
  const { release = (leave) => leave() } = handlers;
  const respond = (answer: Answer): void => release(() => void send(message, answer));
  try {
    const reading = readCommand(message.subject, message.data);
    if (reading.ok) return handlers.onCommand({ ...reading.command, respond });
    handlers.onDead(reading.dead);
    respond(refusal(reading.faults));
  } catch (error) {
    respond(refusal(faultsOf(error)));
  }
}

/** Tells all callers that an orchestrator serves: what another one left unanswered is asked again. */
export const announceServing = ({ nats, space }: BusConnection): void => nats.publish(servingSubject(space));

/** Serves every command of the connection's space; resolves when the broker knows of it, and tells all callers. */
export async function serveCommands(
  connection: BusConnection,
  handlers: CommandHandlers,
): Promise<{ stop(): Promise<void> }> {
  const subscription = connection.nats.subscribe(commandsAll(connection.space), {
    callback: (error, message) => {
      if (!error) receive(message, handlers);
    },
  });
  await connection.orDown(connection.nats.flush());
  announceServing(connection);
  return {
    async stop() {
      if (!connection.isUp()) subscription.unsubscribe();
      else await connection.orDown(subscription.drain()).catch(() => {});
    },
  };
}
