// `node test/simulation/play.ts SEED [COUNT]`: plays simulated worlds until one breaks an invariant, and shows that one.
// A line of JSON at the end says what was found; a seed alone shows the rows of its journal.
import { playWorld } from "./world.ts";

const [first = 1, count = 1] = process.argv.slice(2).map(Number);
let crashes = 0;
let rows = 0;
let seed = first;
let problems: string[] = [];
for (; seed < first + count; seed += 1) {
  const world = await playWorld(seed);
  crashes += world.crashes;
  rows += world.rows.length;
  problems = world.problems;
  if (count === 1) {
    for (const { seq, timeMs, type, actor, command, body } of world.rows)
      console.error(seq, timeMs % 1e8, type, actor.name, command ?? "-", JSON.stringify(body).slice(0, 100));
  }
  if (problems.length > 0) break;
}
const broken = problems.length > 0 ? seed : null;
console.log(
  JSON.stringify({ worlds: seed - first + (broken === null ? 0 : 1), crashes, rows, broken, problems }),
);
process.exitCode = broken === null ? 0 : 1;
