// One bar in words: its numbers as they came.

import type { Bar } from "./answers.ts";
import { element, say } from "./element.ts";
import { proofOf } from "./proof.ts";

const FIELDS = [
  ["open", "open"],
  ["high", "high"],
  ["low", "low"],
  ["close", "close"],
  ["total_volume", "volume"],
  ["buy_volume", "buy"],
  ["sell_volume", "sell"],
  ["delta", "delta"],
  ["min_delta", "min delta"],
  ["max_delta", "max delta"],
  ["total_trades", "trades"],
  ["poc", "POC"],
  ["vah", "VAH"],
  ["val", "VAL"],
  ["coverage", "coverage"],
] as const satisfies readonly (readonly [keyof Bar, string])[];

export function momentWords(iso: string): string {
  return iso.slice(0, 16).replace("T", " ");
}

export class Inspector {
  readonly root: HTMLElement;
  readonly #title = element("h3");
  readonly #state = element("p", { class: "state" });
  readonly #cells = new Map<string, HTMLElement>();

  constructor() {
    const list = element("dl", { class: "numbers" });
    for (const [name, words] of FIELDS) {
      const cell = element("dd", { "data-field": name });
      this.#cells.set(name, cell);
      list.append(element("div", {}, element("dt", { text: words }), cell));
    }
    this.root = element("section", { class: "inspector", "aria-label": "Selected bar" }, this.#title, list, this.#state);
  }

  show(bar: Bar): void {
    this.root.dataset["start"] = bar.period_start;
    say(this.#title, `${momentWords(bar.period_start)} UTC`);
    for (const [name] of FIELDS) {
      const value = bar[name];
      const cell = this.#cells.get(name);
      if (cell !== undefined) say(cell, value === null ? "–" : String(value));
    }
    const final = bar.final ? "final" : "still changing";
    say(this.#state, `${proofOf(bar.state)} (${bar.state}), ${final}, revision ${bar.revision}`);
  }
}
