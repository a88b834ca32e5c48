const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

// nginx "combined", followed by $request_time in seconds:
// 203.0.113.7 - - [12/Mar/2026:06:25:24 +0100] "GET /x HTTP/1.1" 200 512 "-" "curl/8.5.0" 0.043
const linePattern =
  /^(\S+) \S+ (\S+) \[([^\]]+)\] "((?:[^"\\]|\\.)*)" (\d{3}) (\d+|-) "((?:[^"\\]|\\.)*)" "((?:[^"\\]|\\.)*)" (\d+\.\d+)$/;
const timePattern = /^(\d{2})\/([A-Z][a-z]{2})\/(\d{4}):(\d{2}):(\d{2}):(\d{2}) ([+-])(\d{2})(\d{2})$/;
const requestPattern = /^([A-Z]+) (\S+) HTTP\/\d(?:\.\d)?$/;

/** The moment a log time such as `12/Mar/2026:06:25:24 +0100` stands for, or null. */
export function parseTime(text) {
  const match = timePattern.exec(text);
  if (!match) return null;
  const [, day, monthName, year, hour, minute, second, sign, zoneHour, zoneMinute] = match;
  const month = months.indexOf(monthName);
  if (month < 0) return null;
  const zoneMinutes = (Number(zoneHour) * 60 + Number(zoneMinute)) * (sign === "-" ? -1 : 1);
  const utcMs = Date.UTC(Number(year), month, Number(day), Number(hour), Number(minute), Number(second));
  return new Date(utcMs - zoneMinutes * 60_000);
}

/** One request of the log, or null for a line that is not one. */
export function parseLine(line) {
  const match = linePattern.exec(line);
  if (!match) return null;
  const request = requestPattern.exec(match[4]);
  const time = parseTime(match[3]);
  if (!request || !time) return null;
  return {
    client: match[1],
    user: match[2] === "-" ? null : match[2],
    time,
    method: request[1],
    path: request[2],
    status: Number(match[5]),
    bytes: match[6] === "-" ? 0 : Number(match[6]),
    referer: match[7],
    agent: match[8],
    durationMs: Math.round(Number(match[9]) * 1000),
  };
}

/** The lines of a text, without their ends; a last line without an end counts. */
export function* linesOf(text) {
  let from = 0;
  while (from < text.length) {
    const end = text.indexOf("\n", from);
    const to = end < 0 ? text.length : end;
    yield text.slice(from, text[to - 1] === "\r" ? to - 1 : to);
    from = to + 1;
  }
}
