import { type McpServer, ResourceNotFoundError, ResourceTemplate } from "@modelcontextprotocol/server";
import { evidenceMatrix } from "@questbus/core";
import { QuestbusError } from "@questbus/protocol";
import type { Gateway } from "../gateway.ts";
import { everyone, overseers, pageOfRows } from "./read-tool.ts";
import { framed, type Told } from "./result.ts";

/** The same reads as resources, for clients that attach rather than call. */

const scheme = "questbus:/";
const mimeType = "application/json";
const listed = 20;
const rowsListed = 50;

/** What can be read of one quest, by the end of its address. */
const parts: Record<
  string,
  { description: string; readers: typeof everyone; read(gateway: Gateway, id: string): Told }
> = {
  "": {
    description: "Where a quest stands.",
    readers: everyone,
    read: ({ reads }, id) => ({ data: reads.quest(id).summary, foreign: true }),
  },
  "/evidence": {
    description: "The evidence of each pass of a quest.",
    readers: everyone,
    read: ({ reads }, id) => ({ data: evidenceMatrix(reads.quest(id).state), foreign: true }),
  },
  "/journal": {
    description: "The first events of a quest; tool read_journal pages on.",
    readers: overseers,
    read({ reads }, id) {
      reads.quest(id);
      return pageOfRows(reads.journal({ afterSeq: 0, limit: rowsListed + 1, quest: id }), rowsListed);
    },
  },
};

export function addResources(server: McpServer, gateway: Gateway): void {
  const { role } = gateway.who;
  const contents = (uri: URL, told: Told) => ({
    contents: [{ uri: uri.href, mimeType, text: JSON.stringify(framed(told)) }],
  });
  server.registerResource(
    "quests",
    `${scheme}/quests`,
    { description: "The newest quests.", mimeType },
    (uri) => contents(uri, { data: gateway.reads.quests({ limit: listed }), foreign: true }),
  );
  if (overseers.includes(role))
    server.registerResource(
      "escalations",
      `${scheme}/escalations`,
      { description: "What waits for a ruling, with its evidence.", mimeType },
      (uri) => contents(uri, { data: gateway.reads.escalations(), foreign: true }),
    );
  for (const [end, { description, readers, read }] of Object.entries(parts)) {
    if (!readers.includes(role)) continue;
    const list = () => ({
      resources: gateway.reads
        .quests({ limit: listed })
        .map(({ id }) => ({ uri: `${scheme}/quests/${id}${end}`, name: `${id}${end}`, mimeType })),
    });
    const template = new ResourceTemplate(`${scheme}/quests/{id}${end}`, {
      list: end === "" ? list : undefined,
    });
    server.registerResource(
      `quest${end.replace("/", "_")}`,
      template,
      { description, mimeType },
      (uri, { id }) => {
        try {
          return contents(uri, read(gateway, `${id}`));
        } catch (error) {
          if (error instanceof QuestbusError && error.code === "QUEST_NOT_FOUND")
            throw new ResourceNotFoundError(uri.href, error.message);
          throw error;
        }
      },
    );
  }
}
