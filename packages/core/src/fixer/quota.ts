/** When a program whose quota is used up can be asked again. Pure: the time of day is passed in. */

const unitMs: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const amount = "\\d+(?:\\.\\d+)?";
const span = `(?:${amount}\\s*(?:milliseconds?|ms|seconds?|secs?|s|minutes?|mins?|m|hours?|hrs?|h|days?|d)\\b[\\s,]*(?:and\\s+)?)+`;

/** `2 hours 5 minutes`, `31.5s`, `200ms`. */
function spanMs(text: string): number {
  const parts = text.matchAll(new RegExp(`(${amount})\\s*(ms|milli|[smhd])`, "gi"));
  return [...parts].reduce((sum, [, count, unit = ""]) => {
    const isMilli = /^(?:ms|milli)$/i.test(unit);
    return sum + Number(count) * (isMilli ? 1 : (unitMs[unit.toLowerCase()] as number));
  }, 0);
}

/** Minutes since midnight, where `zone` is. */
function minuteOfDay(nowMs: number, zone: string | undefined): number | null {
  try {
    const options = { timeZone: zone, hour: "2-digit", minute: "2-digit", hourCycle: "h23" } as const;
    const [hour = 0, minute = 0] = new Intl.DateTimeFormat("en-GB", options)
      .format(nowMs)
      .split(":")
      .map(Number);
    return 60 * hour + minute;
  } catch {
    return null;
  }
}

/** The wait until `7pm` or `11:05 PM`, in the zone that stands behind it in brackets, else in that of this machine. */
function clockWaitMs(text: string, nowMs: number): number | null {
  const found =
    /(?:reset(?:s| at)?|again at)\s+(?:at\s+)?(\d{1,2})(?::(\d\d))?\s*([ap])\.?m\.?(?:\s*\(([A-Za-z0-9_+\-/]+)\))?/i.exec(
      text,
    );
  if (!found) return null;
  const [, hour = "0", minute = "0", half = "a", zone] = found;
  const now = minuteOfDay(nowMs, zone);
  if (now === null) return null;
  const then = 60 * ((Number(hour) % 12) + (half.toLowerCase() === "p" ? 12 : 0)) + Number(minute);
  const minutes = (then - now + 1_440) % 1_440;
  // A limit that ended in the last minutes is no limit of tomorrow.
  return minutes > 1_430 ? 0 : minutes * 60_000;
}

/** What a program says of when to ask again, in milliseconds from now; null: nothing that is understood. */
export function statedWaitMs(text: string, nowMs: number): number | null {
  const seconds = /(?:retry-after|resets_in_seconds|retry_after)"?\s*[:=]\s*"?(\d+(?:\.\d+)?)/i.exec(text);
  if (seconds) return Number(seconds[1]) * 1_000;
  const epoch = /(?:limit reached\||resets_at"?\s*[:=]\s*)(\d{10})/i.exec(text);
  if (epoch) return Math.max(0, Number(epoch[1]) * 1_000 - nowMs);
  const after = new RegExp(
    `(?:retry(?:ing)?|again|resets?) (?:in|after) (${span})|retryDelay"?\\s*:\\s*"?(${span})`,
    "i",
  ).exec(text);
  if (after) return spanMs(after[1] ?? after[2] ?? "");
  return clockWaitMs(text, nowMs);
}

/** Without a word of the program: after one minute, then twice as long each time, up to a quarter of an hour. */
const unstatedMs = { first: 60_000, max: 900_000 } as const;
/** A program that says "at once" is not asked in a storm. */
const pauseMsMin = 250;

/** How long to wait before the next question; null: the limit outlasts what may be waited in all. */
export function quotaPauseMs(options: {
  statedMs: number | null;
  /** Waits before this one. */
  waits: number;
  waitedMs: number;
  waitMsMax: number;
}): number | null {
  const { statedMs, waits, waitedMs, waitMsMax } = options;
  const pauseMs = Math.max(pauseMsMin, statedMs ?? Math.min(unstatedMs.max, unstatedMs.first * 2 ** waits));
  return waitedMs + pauseMs > waitMsMax ? null : pauseMs;
}
