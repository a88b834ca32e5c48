import {
  fromJsonSchema,
  type JsonSchemaType,
  type jsonSchemaValidator,
  McpServer,
} from "@modelcontextprotocol/server";
import type { Principal } from "@questbus/protocol";
import { z } from "zod";
import manifest from "../../package.json" with { type: "json" };
import type { Gateway } from "../gateway.ts";
import { assignmentTools } from "./assignment-tool.ts";
import type { Leases } from "./leases.ts";
import { operatorTools } from "./operator-tool.ts";
import { instructionsFor, promptsFor } from "./prompt.ts";
import { readTools } from "./read-tool.ts";
import { addResources } from "./resource.ts";
import { errorResult, toolResult } from "./result.ts";
import type { Tool } from "./tool.ts";
import { turnTools } from "./turn-tool.ts";

/** Every tool, in the order in which clients see them. */
const tools: readonly Tool[] = [...assignmentTools, ...turnTools, ...readTools, ...operatorTools];

/** Tools check what they get themselves, so that every fault has its code and the next step. */
const takesAll: jsonSchemaValidator = {
  getValidator: () => (input) => ({ valid: true, data: input as never, errorMessage: undefined }),
};

/** Without what a client needs nothing of: each character is read by a model. */
function schemaOf({ input }: Tool): JsonSchemaType {
  const { $schema, ...schema } = z.toJSONSchema(input, {
    io: "input",
    override({ jsonSchema }) {
      if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
      // An object that may hold anything: said with a word that every client knows.
      if (JSON.stringify(jsonSchema.additionalProperties) === "{}") jsonSchema.additionalProperties = true;
    },
  });
  return JSON.parse(JSON.stringify(schema));
}

const schemas = new Map(tools.map((tool) => [tool.name, fromJsonSchema(schemaOf(tool), takesAll)]));

export const toolsFor = (role: Principal): readonly Tool[] => tools.filter((tool) => tool.allows(role));

/** A server for one connection, or of one request: it holds nothing that another one would miss. */
export function mcpServer(gateway: Gateway, leases: Leases): McpServer {
  const { role } = gateway.who;
  const server = new McpServer(
    { name: "questbus", title: "Questbus", version: manifest.version },
    { instructions: instructionsFor(role) },
  );
  for (const tool of toolsFor(role)) {
    const { readOnly = false, destructive = false, idempotent = readOnly } = tool.hints;
    const annotations = {
      readOnlyHint: readOnly,
      destructiveHint: destructive,
      idempotentHint: idempotent,
      openWorldHint: false,
    };
    const { name, description } = tool;
    const inputSchema = schemas.get(name) as ReturnType<typeof fromJsonSchema>;
    server.registerTool(name, { description, inputSchema, annotations }, async (args, { mcpReq }) => {
      try {
        return toolResult(await tool.run(args, { gateway, leases, signal: mcpReq.signal }));
      } catch (error) {
        return errorResult(error);
      }
    });
  }
  addResources(server, gateway);
  for (const { name, description, args, text } of promptsFor(gateway)) {
    const message = (given: { escalation?: string | undefined }) => ({
      messages: [{ role: "user" as const, content: { type: "text" as const, text: text(given) } }],
    });
    if (args) server.registerPrompt(name, { description, argsSchema: args }, (given) => message(given));
    else server.registerPrompt(name, { description }, () => message({}));
  }
  return server;
}
