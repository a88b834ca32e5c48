import { mkdirSync } from "node:fs";
import { type ClaimAnswer, principals } from "@questbus/protocol";
import { type McpEra, mcpEras, openMcp, openPlace, type Place, startBareStack } from "@questbus/testkit";
import { scriptedReport, submission } from "@questbus/testkit/scripted-report";
import type { Area, Promised } from "../promise.ts";

/** The promises of the doors: what anybody finds who joins with a client of their own. */

/** Four characters a token: what models make of JSON, near enough. */
const tokensMax = 6_000;
const charsPerToken = 4;
const roundTripMsMax = 10;

type Stack = Awaited<ReturnType<typeof startBareStack>>;

/** The official SDK's client on the real program, broker, orchestrator and disk. */
export const proveMcp: Area = async function* ({ full }) {
  const place = openPlace("doors");
  const stateDir = place.path("state");
  mkdirSync(stateDir);
  const stack = await startBareStack(stateDir);
  try {
    yield await toolList(place, stateDir);
    for (const era of mcpEras)
      yield await roundTrip(place, stack, { stateDir, era, count: full ? 300 : 100 });
  } finally {
    await stack.stop();
    await place.close();
  }
};

/** The longest of all roles' lists, as it stands on the wire, with what the server says of itself. */
async function toolList(place: Place, stateDir: string): Promise<Promised> {
  const sizes: { role: string; tools: number; tokens: number }[] = [];
  for (const role of principals) {
    const mcp = await openMcp(place, { stateDir, role, era: "modern", door: "stdio" });
    const { tools } = await mcp.client.listTools();
    const chars = JSON.stringify(tools).length + (mcp.client.getInstructions()?.length ?? 0);
    sizes.push({ role, tools: tools.length, tokens: Math.ceil(chars / charsPerToken) });
    await mcp.close();
  }
  const most = Math.max(...sizes.map(({ tokens }) => tokens));
  return {
    id: "doors.mcp.tokens",
    what: "what a model reads of a role's tool list and instructions, at four characters a token",
    goal: `< ${tokensMax} tokens`,
    value: `${most} tokens at most (${sizes.map(({ role, tools, tokens }) => `${role} ${tools} tools ${tokens}`).join(", ")})`,
    ok: most < tokensMax,
  };
}

type Measured = { stateDir: string; era: McpEra; count: number };

/** A process that has just started compiles on the way: these are not counted. */
const warmUps = 50;

/** Claims and reports the first task of one quest after the other; submitting and cancelling them is not in the time. */
async function roundTrip(place: Place, stack: Stack, { stateDir, era, count }: Measured): Promise<Promised> {
  const operator = await stack.clientAs("operator");
  const architect = await stack.clientAs("architect");
  const mcp = await openMcp(place, { stateDir, role: "architect", era, door: "stdio" });
  const overMcp = async (): Promise<void> => {
    const { data } = (await mcp.call("claim_assignment")).said;
    const { assignment, epoch, summary, result } = scriptedReport({ ...data, leaseMs: 1 });
    const reported = await mcp.call("submit_report", { assignment, epoch, summary, result });
    if (reported.isError) throw new Error(JSON.stringify(reported.said));
  };
  const overBus = async (): Promise<void> => {
    const claimed = (await architect.request("claim", { waitMs: 1_000 })) as ClaimAnswer;
    if (claimed.status !== "granted") throw new Error("nothing is offered");
    await architect.request("report", scriptedReport(claimed.grant));
  };
  const times = { mcp: [] as number[], bus: [] as number[] };
  for (let index = 0; index < 2 * (warmUps + count); index += 1) {
    const { quest } = (await operator.request("submit", submission({ title: `${era} ${index}` }))) as {
      quest: string;
    };
    const by = index % 2 === 0 ? "mcp" : "bus";
    const sinceMs = performance.now();
    await (by === "mcp" ? overMcp() : overBus());
    if (index >= 2 * warmUps) times[by].push(performance.now() - sinceMs);
    await operator.request("cancel", { quest, reason: "measured" });
  }
  await mcp.close();
  const at = (by: keyof typeof times, share: number): number =>
    times[by].sort((a, b) => a - b)[Math.floor(share * times[by].length)] as number;
  const found = at("mcp", 0.5);
  return {
    id: `doors.mcp.${era}`,
    what: `claim to stored report, two calls over stdio, ${era} era, ${count} times after ${warmUps} to warm up: p50`,
    goal: `≤ ${roundTripMsMax} ms`,
    value: `${found.toFixed(1)} ms (p95 ${at("mcp", 0.95).toFixed(1)}; the bus alone in turn with it ${at("bus", 0.5).toFixed(1)})`,
    ok: found <= roundTripMsMax,
  };
}
