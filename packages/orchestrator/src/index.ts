export { checkReplay, recheckVerdicts } from "./replay.ts";
