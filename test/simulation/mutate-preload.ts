import { registerHooks } from "node:module";
import { mutate, mutations } from "./mutations.ts";

/** Loaded by `node --import`: plants the bug that QUESTBUS_MUTATION names into the one file it is for. */
const mutation = mutations.find(({ name }) => name === process.env.QUESTBUS_MUTATION);
if (!mutation) throw new Error(`there is no mutation ${process.env.QUESTBUS_MUTATION}`);

registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context);
    if (!url.endsWith(mutation.file)) return loaded;
    return { ...loaded, source: mutate(String(loaded.source), mutation) };
  },
});
