/**
 * `schemas/asyncapi.yaml`: the bus as an agent, or whoever commands, sees it. The channels are those of
 * packages/protocol/src/subject.ts; the payloads are the files of schemas/.
 */
import {
  type EventType,
  eventPage,
  eventTypes,
  limit,
  principals,
  type Verb,
  verbs,
  verbsOf,
} from "@questbus/protocol";
import { stringify } from "yaml";

type Json = Record<string, unknown>;

const summaries: Record<Verb, string> = {
  hello: "A process of this agent has started: leases of an earlier one are taken back",
  claim: "Ask for work of the sender's role; waits at most `waitMs`",
  leave: "The agent stops: what it waits for is withdrawn, what it holds is given back",
  renew: "Keep a lease, and say how far the work is",
  note: "One line for people about what the holder of a lease does",
  report: "What a task came to, or the fault that kept it from being done",
  release: "Give an assignment back undone",
  approval:
    "Ask an operator for a restricted operation, within a lease; the same again is answered with how it stands",
  grant: "What an approval is of may take effect",
  deny: "It may not",
  remember: "Keep something for later quests",
  recall: "Look for what earlier quests learned",
  forget: "Take a memory away",
  ask: "A question or task for one role, outside any quest",
  submit: "A new quest",
  cancel: "End a quest",
  pause: "Stop a quest, a role or everything for a while",
  resume: "Go on with what was paused",
  progress: "What was heard last of each agent that holds an assignment",
  requests: "What candidates are asked for of programs; waits at most `waitMs` for one",
  supply: "A candidate from outside, for a pass that waits for one",
  monitor: "Whose turn it is in a conversation; waits at most `waitMs` until it is the sender's",
  read: "A page of a quest's conversation",
  respond: "The answer of a turn",
  retry: "Read a dead letter again",
  drop: "Nothing is to be done with a dead letter any more",
  revoke: "The credential of an agent was taken back: what it holds is offered again",
  refusals: "What the broker refused, as its log says",
  rule: "The arbiter's decision on an escalation",
};

const file = (name: string): Json => ({ $ref: `./${name}.v1.schema.json` });
const ref = (place: string): Json => ({ $ref: `#/${place}` });

const wrapped = (name: string, data: Json): Json => ({
  allOf: [
    file("envelope"),
    { type: "object", properties: { type: { const: `questbus.${name}.v1` }, data }, required: ["data"] },
  ],
});

const spaceParameter = { space: { description: "Name of the installation", default: "local" } };
const row = (type: EventType): Json => ({
  allOf: [
    file("row"),
    { type: "object", properties: { type: { const: type }, body: file(`event.${type}`) } },
  ],
});

function commandChannel(verb: Verb): Json {
  return {
    address: `{space}.{role}.{name}.${verb}`,
    title: summaries[verb],
    parameters: {
      ...spaceParameter,
      role: {
        description: "Role of the sender's credential",
        enum: principals.filter((each) => verbsOf[each].includes(verb)),
      },
      name: { description: "Name of the sender's credential" },
    },
    messages: { [verb]: ref(`components/messages/command.${verb}`) },
  };
}

/** An operation a verb: a request whose answer comes to the reply subject. */
const commandOperation = (verb: Verb): Json => ({
  action: "send",
  channel: ref(`channels/command.${verb}`),
  summary: summaries[verb],
  messages: [ref(`channels/command.${verb}/messages/${verb}`)],
  reply: { channel: ref("channels/answers"), messages: [ref("channels/answers/messages/answer")] },
});

const mapOf = <T extends string>(
  keys: readonly T[],
  name: (key: T) => string,
  value: (key: T) => Json,
): Json => Object.fromEntries(keys.map((key) => [name(key), value(key)]));

const message = (name: string, title: string, payload: Json): Json => ({
  name,
  title,
  contentType: "application/json",
  payload,
});

const eventMessages = mapOf(
  eventTypes,
  (type) => type,
  (type) => ref(`components/messages/event.${type}`),
);

const document = {
  asyncapi: "3.1.0",
  id: "urn:questbus:protocol:v1",
  info: {
    title: "Questbus",
    version: "1.0.0",
    description: `What an agent, an operator, an arbiter or a worker sends and hears over NATS. Every message is a CloudEvent in
structured JSON of at most ${limit.messageBytesMax} bytes. docs/protocol.md explains it; schemas/examples has one message of each type.`,
    license: { name: "Apache-2.0", url: "https://www.apache.org/licenses/LICENSE-2.0" },
  },
  defaultContentType: "application/json",
  servers: {
    local: {
      host: "127.0.0.1:4222",
      protocol: "nats",
      description:
        "The address stands in stack.json of the state directory. Who connects signs the broker's nonce with the nkey of its credential.",
    },
  },
  channels: {
    ...mapOf(verbs, (verb) => `command.${verb}`, commandChannel),
    answers: {
      address: null,
      title: "The reply subject of a request, below the inbox prefix of its sender: `_INBOX_<role>-<name>.`",
      messages: { answer: ref("components/messages/answer") },
    },
    events: {
      address: "{space}.event.{quest}.{type}",
      title: "What was committed, in order of `seq`",
      parameters: {
        ...spaceParameter,
        quest: { description: "Id of the quest, or `stack` for what belongs to none" },
        type: {
          description: `Type of the event, which has dots; \`${eventPage}\`: several rows in one message`,
        },
      },
      messages: { ...eventMessages, [eventPage]: ref(`components/messages/event.${eventPage}`) },
    },
    serving: {
      address: "{space}.notice.serving",
      title: "An orchestrator begins to serve: what waits for an answer is sent again, under the same id",
      parameters: spaceParameter,
      messages: { serving: ref("components/messages/serving") },
    },
  },
  operations: {
    ...mapOf(verbs, (verb) => verb, commandOperation),
    hearEvents: { action: "receive", channel: ref("channels/events") },
    hearServing: { action: "receive", channel: ref("channels/serving") },
  },
  components: {
    messages: {
      ...mapOf(
        verbs,
        (verb) => `command.${verb}`,
        (verb) => message(verb, summaries[verb], wrapped(`command.${verb}`, file(`command.${verb}`))),
      ),
      answer: message("answer", "What was committed, or every fault", file("answer")),
      ...mapOf(
        eventTypes,
        (type) => `event.${type}`,
        (type) => message(type, `Event ${type}`, wrapped(`event.${type}`, row(type))),
      ),
      [`event.${eventPage}`]: message(
        eventPage,
        "Several events, none of a quest",
        wrapped(`event.${eventPage}`, {
          type: "object",
          properties: { rows: { type: "array", items: file("row") } },
          required: ["rows"],
        }),
      ),
      serving: { name: "serving", title: "An empty message" },
    },
  },
};

/** The text of the file. */
export const asyncapi = (): string =>
  `# Written by tools/schemas.ts: changes are lost.\n${stringify(document, { lineWidth: 0, aliasDuplicateObjects: false })}`;
