/** CPU profiles made by hand: each line is a call stack, outermost first, and the microseconds spent at its end. */
type Call = { name: string; url?: string; line?: number };

export type Stack = readonly [calls: readonly Call[], us: number];

export const call = (name: string, file?: string, line = 1): Call => ({
  name,
  ...(file === undefined ? {} : { url: file.startsWith("node:") ? file : `file:///work/tree/${file}`, line }),
});

type Node = {
  id: number;
  callFrame: {
    functionName: string;
    scriptId: string;
    url: string;
    lineNumber: number;
    columnNumber: number;
  };
  children: number[];
};

/** A profile in the form that V8 writes. */
export function profileOf(stacks: readonly Stack[]) {
  const nodes: Node[] = [];
  const known = new Map<string, Node>();
  const add = (key: string, { name, url = "", line = 0 }: Call, parent: Node | null): Node => {
    const found = known.get(key);
    if (found) return found;
    const callFrame = { functionName: name, scriptId: "1", url, lineNumber: line - 1, columnNumber: 0 };
    const node: Node = { id: nodes.length + 1, callFrame, children: [] };
    nodes.push(node);
    known.set(key, node);
    parent?.children.push(node.id);
    return node;
  };
  const root = add("", { name: "(root)" }, null);
  const samples: number[] = [];
  const timeDeltas: number[] = [0];
  for (const [calls, us] of stacks) {
    let key = "";
    let node = root;
    for (const each of calls) {
      key += `/${each.name} ${each.url} ${each.line}`;
      node = add(key, each, node);
    }
    samples.push(node.id);
    timeDeltas.push(us);
  }
  const last = timeDeltas.pop() ?? 0;
  const startTime = 1_000_000;
  const endTime = startTime + timeDeltas.reduce((sum, each) => sum + each, 0) + last;
  return { nodes, startTime, endTime, samples, timeDeltas };
}
