export { checkReplay, openFollower } from "./replay.ts";
