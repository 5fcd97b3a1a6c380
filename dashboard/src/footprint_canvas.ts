// The footprint: a column a bar, a cell a row, only what is in sight is drawn.

import type { Bar } from "./answers.ts";
import type { Bars } from "./bars.ts";
import type { Imbalances } from "./imbalances.ts";
import { sized } from "./strip.ts";
import type { Palette } from "./theme.ts";

export const COLUMN = 136;
export const ROW = 16;
export const AXIS = 66;
export const HEAD = 20;
const FOOT = 36;

export interface Grid {
  readonly low: number;
  readonly high: number;
  readonly step: number;
  readonly rows: number;
}

/** Prices of all bars on one ladder; the coarsest row of any bar is its step. */
export function gridOf(bars: Bars): Grid | null {
  let [low, high, step] = [Infinity, -Infinity, 0];
  for (const [, bar] of bars.slots()) {
    for (const [price] of bar?.rows ?? []) {
      low = Math.min(low, Number(price));
      high = Math.max(high, Number(price));
    }
    step = Math.max(step, Number(bar?.row_size ?? 0));
  }
  if (!Number.isFinite(low) || step === 0) return null;
  return { low, high, step, rows: Math.round((high - low) / step) + 1 };
}

export function heightOf(grid: Grid): number {
  return HEAD + grid.rows * ROW + FOOT;
}

export interface Sight {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

export class FootprintCanvas {
  readonly #canvas: HTMLCanvasElement;

  constructor(canvas: HTMLCanvasElement) {
    this.#canvas = canvas;
  }

  draw(bars: Bars, grid: Grid, marks: Imbalances, sight: Sight, chosen: number | null, colours: Palette): void {
    const context = sized(this.#canvas, sight.width, sight.height);
    context.font = "11px ui-monospace, monospace";
    context.textBaseline = "middle";
    let column = 0;
    for (const [at, bar] of bars.slots()) {
      const x = AXIS + column * COLUMN - sight.left;
      column += 1;
      if (x + COLUMN < AXIS || x > sight.width) continue;
      if (bar !== undefined) this.#column(context, at, bar, x, grid, marks, sight, colours);
      if (at === chosen) {
        context.strokeStyle = colours.mark;
        context.lineWidth = 2;
        context.strokeRect(x + 1, HEAD, COLUMN - 4, sight.height - HEAD - 2);
      }
    }
    this.#edges(context, bars, grid, sight, colours);
  }

  #y(price: number, grid: Grid, sight: Sight): number {
    return HEAD + Math.round((grid.high - price) / grid.step) * ROW - sight.top;
  }

  #column(
    context: CanvasRenderingContext2D,
    at: number,
    bar: Bar,
    x: number,
    grid: Grid,
    marks: Imbalances,
    sight: Sight,
    colours: Palette,
  ): void {
    const rows = bar.rows ?? [];
    const largest = Math.max(...rows.map(([, buy, sell]) => Math.max(Number(buy), Number(sell))), 0);
    const middle = x + COLUMN / 2;
    for (const [price, buy, sell] of rows) {
      const y = this.#y(Number(price), grid, sight);
      if (y < HEAD - ROW || y > sight.height - FOOT) continue;
      const half = COLUMN / 2 - 5;
      context.fillStyle = colours.sellSoft;
      const left = largest === 0 ? 0 : (Number(sell) / largest) * half;
      context.fillRect(middle - left, y, left, ROW - 1);
      context.fillStyle = colours.buySoft;
      context.fillRect(middle, y, largest === 0 ? 0 : (Number(buy) / largest) * half, ROW - 1);
      const sides = marks.row(at, Number(price));
      this.#cell(context, sell, middle - 4, y, "right", sides.includes("sell") ? colours.sell : null, colours.ink);
      this.#cell(context, buy, middle + 4, y, "left", sides.includes("buy") ? colours.buy : null, colours.ink);
      if (price === bar.poc) {
        context.strokeStyle = colours.strong;
        context.lineWidth = 1.5;
        context.strokeRect(x + 2.5, y + 0.5, COLUMN - 7, ROW - 2);
      }
    }
    this.#stacks(context, at, x, grid, marks, sight, colours);
    this.#openClose(context, bar, middle, grid, sight, colours);
  }

  /** An imbalance is bold, framed and coloured: three ways to see it. */
  #cell(
    context: CanvasRenderingContext2D,
    words: string,
    x: number,
    y: number,
    align: "left" | "right",
    imbalance: string | null,
    ink: string,
  ): void {
    context.textAlign = align;
    context.font = imbalance === null ? "11px ui-monospace, monospace" : "bold 11px ui-monospace, monospace";
    context.fillStyle = imbalance ?? ink;
    const shown = short(words);
    context.fillText(shown, x, y + ROW / 2);
    if (imbalance === null) return;
    const width = context.measureText(shown).width + 4;
    context.strokeStyle = imbalance;
    context.lineWidth = 1;
    context.strokeRect(align === "left" ? x - 2.5 : x - width + 2.5, y + 1.5, width, ROW - 4);
  }

  #stacks(context: CanvasRenderingContext2D, at: number, x: number, grid: Grid, marks: Imbalances, sight: Sight, colours: Palette): void {
    for (const stack of marks.stacks(at)) {
      const top = this.#y(stack.high, grid, sight);
      const bottom = this.#y(stack.low, grid, sight) + ROW;
      context.fillStyle = stack.side === "buy" ? colours.buy : colours.sell;
      context.fillRect(stack.side === "buy" ? x + COLUMN - 6 : x, top, 4, bottom - top - 1);
    }
  }

  #openClose(context: CanvasRenderingContext2D, bar: Bar, middle: number, grid: Grid, sight: Sight, colours: Palette): void {
    if (bar.open === null || bar.close === null) return;
    const [open, close] = [Number(bar.open), Number(bar.close)];
    const spot = (price: number): number => this.#y(Math.floor(price / grid.step) * grid.step, grid, sight) + ROW / 2;
    const rising = close >= open;
    context.strokeStyle = rising ? colours.buy : colours.sell;
    context.lineWidth = rising ? 1.5 : 3;
    context.beginPath();
    context.moveTo(middle, spot(open));
    context.lineTo(middle, spot(close));
    context.stroke();
  }

  /** Prices on the left, times above, delta and volume below: they stay where they are. */
  #edges(context: CanvasRenderingContext2D, bars: Bars, grid: Grid, sight: Sight, colours: Palette): void {
    context.font = "11px ui-monospace, monospace";
    context.fillStyle = colours.panel;
    context.fillRect(0, 0, sight.width, HEAD);
    context.fillRect(0, sight.height - FOOT, sight.width, FOOT);
    context.fillRect(0, 0, AXIS - 4, sight.height);
    context.strokeStyle = colours.line;
    context.strokeRect(AXIS - 4.5, HEAD - 0.5, sight.width, sight.height - HEAD - FOOT + 1);
    context.fillStyle = colours.faint;
    context.textAlign = "right";
    for (let row = 0; row < grid.rows; row += 2) {
      const y = HEAD + row * ROW - sight.top;
      if (y >= HEAD && y <= sight.height - FOOT - ROW) {
        context.fillText(label(grid.high - row * grid.step, grid.step), AXIS - 8, y + ROW / 2);
      }
    }
    context.fillText("delta", AXIS - 8, sight.height - FOOT + 10);
    context.fillText("volume", AXIS - 8, sight.height - FOOT + 26);
    context.save();
    context.beginPath();
    context.rect(AXIS - 4, 0, sight.width, sight.height);
    context.clip();
    context.textAlign = "center";
    let column = 0;
    for (const [at, bar] of bars.slots()) {
      const middle = AXIS + column * COLUMN - sight.left + COLUMN / 2;
      column += 1;
      if (middle < -COLUMN || middle > sight.width + COLUMN) continue;
      context.fillStyle = colours.faint;
      context.fillText(new Date(at).toISOString().slice(11, 16), middle, HEAD / 2);
      if (bar === undefined) continue;
      context.fillText(bar.total_volume, middle, sight.height - FOOT + 26);
      context.fillStyle = bar.delta.startsWith("-") ? colours.sell : colours.buy;
      context.fillText(bar.delta.startsWith("-") ? bar.delta : `+${bar.delta}`, middle, sight.height - FOOT + 10);
    }
    context.restore();
  }
}

const CELL = 9;

/** A number too long for its cell is cut with a sign, never rounded; the table has all of it. */
export function short(words: string): string {
  return words.length <= CELL ? words : `${words.slice(0, CELL - 1)}…`;
}

function label(price: number, step: number): string {
  const places = step >= 1 ? 0 : Math.ceil(-Math.log10(step));
  return price.toFixed(places);
}
