import { type Fault, limit, redactText } from "@questbus/protocol";
import { nameList } from "../verdict/phrase.ts";

/** What is claimed and is not in the diff, or is in it and was not claimed; null: neither. */
export function filesFault(claimed: readonly string[], real: readonly string[]): Fault | null {
  const extra = claimed.filter((each) => !real.includes(each));
  const missing = real.filter((each) => !claimed.includes(each));
  if (extra.length + missing.length === 0) return null;
  const parts = [
    ...(extra.length > 0 ? [`it claims ${nameList(extra)}, which its diff does not change`] : []),
    ...(missing.length > 0 ? [`it does not name ${nameList(missing)}, which its diff changes`] : []),
  ];
  const message = redactText(parts.join("; ")).slice(0, limit.reasonCharsMax);
  const next = "name the files of the diff, and no others";
  return { code: "TURN_FILES_WRONG", message, where: "files", next };
}
