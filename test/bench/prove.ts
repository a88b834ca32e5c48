// `npm run prove -- [AREA[/PART]] [--full] [--json]`: every measured promise, run for real. Exit code 1 when one is missed.
import { parseArgs, styleText } from "node:util";
import { faultsOf } from "@questbus/protocol";
import { proveInjections } from "./doors/injection.ts";
import { proveMcp } from "./doors/mcp.ts";
import { proveOverstep } from "./doors/overstep.ts";
import { proveSandbox } from "./doors/sandbox.ts";
import { proveTurns } from "./doors/turns.ts";
import {
  proveCancels,
  proveCrashes,
  proveLeader,
  proveMutations,
  proveSimulation,
  proveWipes,
} from "./faults.ts";
import { proveAttempts, proveHonest, proveImpossible } from "./gaming.ts";
import { proveReal } from "./gate/real.ts";
import { proveGate } from "./gate.ts";
import { proveMain } from "./main.ts";
import type { Area, Promised } from "./promise.ts";
import { proveRpo } from "./rpo.ts";
import { proveCold } from "./speed/cold.ts";
import { proveScale } from "./speed/scale.ts";
import { proveLatency, proveReplay, proveW1, proveW3 } from "./speed.ts";

const areas: Record<string, Area> = {
  main: proveMain,
  "gate/simulated": proveGate,
  "gate/real": proveReal,
  "gate/attempts": proveAttempts,
  "gate/honest": proveHonest,
  "gate/impossible": proveImpossible,
  "faults/crash": proveCrashes,
  "faults/broker": proveWipes,
  "faults/leader": proveLeader,
  "faults/simulation": proveSimulation,
  "faults/mutations": proveMutations,
  "faults/rpo": proveRpo,
  "faults/cancel": proveCancels,
  "doors/injection": proveInjections,
  "doors/mcp": proveMcp,
  "doors/overstep": proveOverstep,
  "doors/sandbox": proveSandbox,
  "doors/turns": proveTurns,
  "speed/w3": proveW3,
  "speed/w1": proveW1,
  "speed/latency": proveLatency,
  "speed/scale": proveScale,
  "speed/replay": proveReplay,
  "speed/cold": proveCold,
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { full: { type: "boolean", default: false }, json: { type: "boolean", default: false } },
});
const [name] = positionals;
const asked = Object.entries(areas).filter(
  ([area]) => name === undefined || area === name || area.startsWith(`${name}/`),
);
if (asked.length === 0) {
  process.stderr.write(`there is no area ${name}; the areas are: ${Object.keys(areas).join(", ")}\n`);
  process.exit(2);
}

const rows: Promised[] = [];
const say = (row: Promised): void => {
  rows.push(row);
  if (values.json) return;
  const mark = row.ok ? styleText("green", "✓") : styleText("red", "✗");
  process.stdout.write(
    `${mark} ${row.id.padEnd(22)} ${row.what}\n  ${" ".repeat(22)} goal ${row.goal}; found ${row.value}\n`,
  );
};
const note = (text: string): void => void process.stderr.write(`${text}\n`);
for (const [area, prove] of asked) {
  try {
    for await (const row of prove({ full: values.full, note })) say(row);
  } catch (error) {
    // One that cannot be measured, for want of a program, say, does not take the others with it.
    const [fault] = faultsOf(error);
    const value = [fault?.code, fault?.message, fault?.next].filter(Boolean).join(": ");
    say({ id: area, what: "what this area promises", goal: "measured", value, ok: false });
  }
}
if (values.json) process.stdout.write(`${JSON.stringify(rows, null, 2)}\n`);
process.exitCode = rows.every((row) => row.ok) ? 0 : 1;
