import type { ExplainedSamples, Rules } from "@questbus/core";
import { paint, type Style } from "../output.ts";
import { figure } from "./words.ts";

const rows = 11;
const labelWidth = 7;
const widthMax = 100;
/** What lies below is drawn at the bottom: how far below 1 says nothing more. */
const eMin = 0.05;

type Cell = { mark: string; style: Style } | null;

/** The evidence after each pair on a logarithmic axis: ● for a gain, ○ for futility. Empty without a pair that counts. */
export function textPlot(
  { pairs }: ExplainedSamples,
  { bound, futilityBound }: Rules,
  columns: number,
): string[] {
  const counted = pairs.filter(({ e }) => e !== null);
  if (counted.length === 0) return [];
  const highest = Math.max(bound, ...counted.flatMap(({ e, eFutility }) => [e ?? 0, eFutility ?? 0]));
  const rowOf = (e: number): number => {
    const share = Math.log(Math.max(e, eMin) / eMin) / Math.log((highest * 1.2) / eMin);
    return Math.round((1 - share) * (rows - 1));
  };
  const room = Math.min(columns - labelWidth - 3, widthMax);
  const step = counted.length > room ? room / counted.length : Math.min(4, Math.floor(room / counted.length));
  const width = Math.max(Math.ceil(step * counted.length), 24);
  const lines = new Map([
    [rowOf(1), { label: "1", mark: "·" }],
    [rowOf(futilityBound), { label: figure(futilityBound), mark: "┈" }],
    [rowOf(bound), { label: figure(bound), mark: "─" }],
  ]);
  const cells: Cell[][] = Array.from({ length: rows }, (_, row) => {
    const line = lines.get(row);
    return Array.from({ length: width }, () => (line ? { mark: line.mark, style: "dim" } : null));
  });
  const put = (row: number, at: number, mark: string, style: Style): void => {
    const line = cells[row] as Cell[];
    const there = line[at]?.mark;
    line[at] = there === "○" && mark === "●" ? { mark: "◉", style } : { mark, style };
  };
  counted.forEach(({ e, eFutility }, index) => {
    const at = Math.floor(index * step);
    put(rowOf(eFutility ?? 1), at, "○", "yellow");
    put(rowOf(e ?? 1), at, "●", "cyan");
  });
  const drawn = cells.map((line, row) => {
    const label = (lines.get(row)?.label ?? "").padStart(labelWidth);
    return `${label} │${line
      .map((cell) => (cell ? paint(cell.style, cell.mark) : " "))
      .join("")
      .trimEnd()}`;
  });
  const last = `pair ${counted.length}`;
  const end = Math.max(Math.floor((counted.length - 1) * step) + 1 - last.length, 8);
  return [
    ...drawn,
    `${" ".repeat(labelWidth)} └${"─".repeat(width)}`,
    `${" ".repeat(labelWidth + 2)}${"pair 1".padEnd(end)}${counted.length > 1 ? last : ""}`,
  ];
}
