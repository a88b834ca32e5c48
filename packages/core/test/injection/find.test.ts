import type { NewEvent } from "@questbus/protocol";
import { expect, test } from "vitest";
import { withoutSecrets } from "../../src/index.ts";

const token = `ghp_${"a1B2".repeat(9)}`;
const actor = { role: "qa", name: "mine" } as const;

test.each<NewEvent>([
  {
    type: "command.refused",
    quest: null,
    actor,
    body: { verb: "report", code: "X", message: `no ${token}` },
  },
  {
    type: "refusals.counted",
    quest: null,
    actor,
    body: { count: 2, verb: "report", code: "X", message: token },
  },
  {
    type: "dead.counted",
    quest: null,
    actor,
    body: { count: 2, subject: "s", code: "X", fault: `key ${token}` },
  },
  { type: "dead.retried", quest: null, actor, body: { letter: "d-17", faults: [`key ${token}`] } },
  { type: "broker.refused", quest: null, actor, body: { kind: "publish", detail: token, count: 1 } },
])("what quotes somebody's words keeps no secret of them: $type", (event) => {
  expect(JSON.stringify(withoutSecrets(event))).not.toContain(token);
});
