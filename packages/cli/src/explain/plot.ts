import { type Markup, markup } from "./markup.ts";
import type { Scale } from "./scale.ts";

/** What every plot has: a frame with a title and a description that are read aloud, axes, and lines that mean something. */

export const frame = { width: 820, left: 88, right: 690, top: 34 } as const;

/** A plot as one picture; `name` is unique on its page. */
export const plot = (
  name: string,
  text: { title: string; description: string },
  height: number,
  content: readonly (Markup | null)[],
): Markup => markup`<svg viewBox="0 0 ${frame.width} ${height}" role="img" aria-labelledby="${name}-title ${name}-desc">
<title id="${name}-title">${text.title}</title><desc id="${name}-desc">${text.description}</desc>
${content}
</svg>`;

export type Anchor = "start" | "middle" | "end";

export const label = (x: number, y: number, text: string, anchor: Anchor = "start", style = ""): Markup =>
  markup`<text x="${round(x)}" y="${round(y)}" text-anchor="${anchor}" class="${style}">${text}</text>
`;

export const line = (x1: number, y1: number, x2: number, y2: number, style: string): Markup =>
  markup`<line x1="${round(x1)}" y1="${round(y1)}" x2="${round(x2)}" y2="${round(y2)}" class="${style}"/>
`;

export const dot = (x: number, y: number, r: number, style: string, hint: string | null = null): Markup =>
  markup`<circle cx="${round(x)}" cy="${round(y)}" r="${r}" class="${style}">${hint === null ? null : markup`<title>${hint}</title>`}</circle>
`;

export const box = (x: number, y: number, width: number, height: number, style: string): Markup =>
  markup`<rect x="${round(x)}" y="${round(y)}" width="${round(width)}" height="${round(height)}" class="${style}"/>
`;

/** A triangle that says: the value lies further that way. */
export function beyond(x: number, y: number, way: "up" | "down" | "left" | "right", hint: string): Markup {
  const turn = { up: 0, right: 90, down: 180, left: 270 }[way];
  return markup`<path d="M0,-6 L5,4 L-5,4 Z" transform="translate(${round(x)} ${round(y)}) rotate(${turn})" class="beyond"><title>${hint}</title></path>
`;
}

export const path = (points: readonly (readonly [number, number])[], style: string): Markup =>
  markup`<polyline points="${points.map(([x, y]) => `${round(x)},${round(y)}`).join(" ")}" class="${style}"/>
`;

const round = (value: number): number => Number(value.toFixed(2));

/** The left axis with its grid. */
export const yAxis = (scale: Scale, name: string, write: (tick: number) => string): Markup[] => [
  ...scale.ticks.flatMap((tick) => [
    line(frame.left, scale.at(tick), frame.right, scale.at(tick), "grid"),
    label(frame.left - 8, scale.at(tick) + 4, write(tick), "end", "tick"),
  ]),
  label(8, 18, name, "start", "axis"),
];

/** The lower axis at height `y`, from `left` on. */
export const xAxis = (
  scale: Scale,
  y: number,
  name: string,
  write: (tick: number) => string,
  left: number = frame.left,
): Markup[] => [
  line(left, y, frame.right, y, "base-line"),
  ...scale.ticks.flatMap((tick) => [
    line(scale.at(tick), y, scale.at(tick), y + 5, "base-line"),
    label(scale.at(tick), y + 20, write(tick), "middle", "tick"),
  ]),
  label((left + frame.right) / 2, y + 42, name, "middle", "axis"),
];

/** Places for labels that want to stand at `wanted`, moved apart until each has `gap`. */
export function spread(wanted: readonly number[], gap: number): number[] {
  const order = wanted.map((y, at) => ({ y, at })).sort((a, b) => a.y - b.y);
  order.forEach((each, at) => {
    const above = order[at - 1];
    if (above) each.y = Math.max(each.y, above.y + gap);
  });
  const placed = [...wanted];
  for (const { y, at } of order) placed[at] = y;
  return placed;
}
