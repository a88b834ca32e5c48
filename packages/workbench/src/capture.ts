/**
 * Keeps the head and the tail of a stream, and counts the rest. While the command runs it only puts chunks in lists;
 * nothing is copied or decoded until `text`.
 */
export type Capture = {
  push(chunk: Buffer): void;
  /** What was kept, as UTF-8; a line in the middle says how many bytes were left out. */
  text(): string;
  /** All bytes that came. */
  sizeBytes(): number;
};

/** @param bytesMax half of it is kept of the head, half of the tail. */
export function openCapture(bytesMax: number): Capture {
  const half = Math.ceil(bytesMax / 2);
  const head: Buffer[] = [];
  let tail: Buffer[] = [];
  let [headBytes, tailBytes, dropped, total] = [0, 0, 0, 0];

  const keepTail = (chunk: Buffer): void => {
    tail.push(chunk);
    tailBytes += chunk.length;
    let first = 0;
    while (tailBytes - (tail[first] as Buffer).length >= half) {
      tailBytes -= (tail[first] as Buffer).length;
      dropped += (tail[first] as Buffer).length;
      first += 1;
    }
    if (first > 0) tail = tail.slice(first);
  };

  return {
    push: (chunk) => {
      total += chunk.length;
      const room = half - headBytes;
      if (room >= chunk.length) head.push(chunk);
      else if (room > 0) head.push(chunk.subarray(0, room));
      headBytes += Math.min(room, chunk.length);
      if (room < chunk.length) keepTail(room > 0 ? chunk.subarray(room) : chunk);
    },
    text: () => {
      const rest = Buffer.concat(tail);
      const over = Math.max(0, rest.length - half);
      const left = dropped + over;
      if (left === 0) return Buffer.concat([...head, rest]).toString("utf8");
      return `${Buffer.concat(head)}\n[${left} bytes left out]\n${rest.subarray(over)}`;
    },
    sizeBytes: () => total,
  };
}
