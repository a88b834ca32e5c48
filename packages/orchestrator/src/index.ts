export { checkReplay } from "./replay.ts";
