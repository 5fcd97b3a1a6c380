// The rows of one bar as a table: every digit, and readable without seeing the canvas.

import type { Bar } from "./answers.ts";
import { element } from "./element.ts";
import type { Imbalances } from "./imbalances.ts";

const COLUMNS = ["price", "sell", "buy", "trades", "marks"] as const;

export class RowsTable {
  readonly root: HTMLElement;
  readonly #body = element("tbody");
  #shown = "";

  constructor() {
    const head = element("tr", {}, ...COLUMNS.map((words) => element("th", { scope: "col", text: words })));
    const table = element("table", { "data-table": "rows" }, element("thead", {}, head), this.#body);
    this.root = element("details", {}, element("summary", { text: "Rows of the selected bar" }), element("div", { class: "scroll" }, table));
  }

  show(bar: Bar, marks: Imbalances): void {
    const at = Date.parse(bar.period_start);
    const rows = [...(bar.rows ?? [])].reverse().map(([price, buy, sell, trades]) => {
      const said: string[] = marks.row(at, Number(price)).map((side) => (side === "buy" ? "▲ buy imbalance" : "▼ sell imbalance"));
      for (const stack of marks.stacks(at)) {
        if (Number(price) >= stack.low && Number(price) <= stack.high) said.push(`${stack.side} stack of ${stack.rows}`);
      }
      if (price === bar.poc) said.unshift("POC");
      return [price, sell, buy, String(trades), said.join(", ")];
    });
    const told = JSON.stringify(rows);
    if (told === this.#shown) return;
    this.#shown = told;
    this.#body.replaceChildren(
      ...rows.map(([price = "", ...cells]) =>
        element("tr", {}, element("th", { scope: "row", text: price }), ...cells.map((words) => element("td", { text: words }))),
      ),
    );
  }
}
