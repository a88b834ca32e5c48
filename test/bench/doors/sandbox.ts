import { openSandbox, type Sandbox } from "@questbus/workbench";
import { attempt, attempts, bounds, openScene, type Scene } from "../../doors/escape.ts";
import type { Area, Promised } from "../promise.ts";

/** Out of the sandbox, at each level that works here. */
export const proveSandbox: Area = async function* ({ note }) {
  const scene = await openScene();
  try {
    for (const from of ["bubblewrap", "namespaces"] as const) {
      const owner = `prove-${from}-${process.pid}`;
      const hidden = [scene.state];
      const sandbox = openSandbox({ policy: "preferred", hidden, owner, limits: bounds, from });
      yield await provenLevel(scene, sandbox, from, note);
      sandbox.close();
    }
  } finally {
    await scene.close();
  }
};

async function provenLevel(
  scene: Scene,
  sandbox: Sandbox,
  level: string,
  note: (text: string) => void,
): Promise<Promised> {
  const row = {
    id: `doors.sandbox.${level}`,
    what: "attempts of a quest's command to get out of its sandbox",
    goal: "20 or more, none succeeds",
  };
  if (sandbox.level !== level)
    return { ...row, value: `not tried: there is no ${level} on this machine`, ok: level === "namespaces" };
  const open: string[] = [];
  for (const each of attempts) {
    const succeeded = await attempt(scene, each, sandbox);
    if (succeeded) open.push(each.name);
    note(`${level}: ${succeeded ? "SUCCEEDED" : "blocked"}: ${each.name}`);
  }
  const value = `${attempts.length} attempts, ${open.length} succeeded${open.length > 0 ? `: ${open.join("; ")}` : ""}`;
  return { ...row, value, ok: open.length === 0 && attempts.length >= 20 };
}
