// Marks of the footprint by bar and price, as the indicators gave them.

import type { ImbalanceItem, StackItem } from "./answers.ts";

export type Side = "buy" | "sell";

export interface Stack {
  readonly side: Side;
  readonly low: number;
  readonly high: number;
  readonly rows: number;
}

export class Imbalances {
  readonly #rows = new Map<string, Side[]>();
  readonly #stacks = new Map<number, Stack[]>();

  add(items: readonly ImbalanceItem[], stacks: readonly StackItem[]): void {
    for (const item of items) {
      const place = this.#place(Date.parse(item.period_start), Number(item.price));
      const known = this.#rows.get(place) ?? [];
      if (!known.includes(item.side)) this.#rows.set(place, [...known, item.side]);
    }
    for (const item of stacks) {
      const at = Date.parse(item.period_start);
      const found: Stack = { side: item.side, low: Number(item.price), high: Number(item.price_high), rows: item.rows };
      this.#stacks.set(at, [...(this.#stacks.get(at) ?? []), found]);
    }
  }

  /** Sides that overwhelm their diagonal opponent in this row; there may be both. */
  row(startMs: number, price: number): readonly Side[] {
    return this.#rows.get(this.#place(startMs, price)) ?? [];
  }

  stacks(startMs: number): readonly Stack[] {
    return this.#stacks.get(startMs) ?? [];
  }

  #place(startMs: number, price: number): string {
    return `${startMs}/${price}`;
  }
}
