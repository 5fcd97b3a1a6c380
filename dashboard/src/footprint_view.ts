// The footprint with its strip, the chosen bar and its rows.

import type { Bar, ImbalanceItem, StackItem, Study } from "./answers.ts";
import type { Bars } from "./bars.ts";
import { element } from "./element.ts";
import { AXIS, COLUMN, FootprintCanvas, type Grid, gridOf, heightOf } from "./footprint_canvas.ts";
import { Imbalances } from "./imbalances.ts";
import { Inspector } from "./inspector.ts";
import { RowsTable } from "./rows_table.ts";
import { type Place, Strip } from "./strip.ts";
import { palette } from "./theme.ts";

const MOST_HEIGHT = 620;

export class FootprintView {
  readonly root: HTMLElement;
  readonly #inspector = new Inspector();
  readonly #table = new RowsTable();
  readonly #strip = new Strip("Completeness of the bars above");
  readonly #canvas = element("canvas", { role: "img" });
  readonly #space = element("div", { class: "space" }, this.#canvas);
  readonly #scroller = element(
    "div",
    { class: "scroller", tabindex: "0", role: "region", "aria-label": "Footprint, scrolls both ways" },
    this.#space,
  );
  readonly #painter = new FootprintCanvas(this.#canvas);
  #bars: Bars | null = null;
  #grid: Grid | null = null;
  #marks = new Imbalances();
  #chosen: number | null = null;
  #drawing = 0;

  constructor() {
    this.root = element(
      "section",
      { class: "card view", "aria-label": "Footprint" },
      this.#scroller,
      this.#strip.root,
      this.#inspector.root,
      this.#table.root,
    );
    this.#scroller.addEventListener("scroll", () => this.redraw());
    new ResizeObserver(() => this.redraw()).observe(this.#scroller);
    this.#canvas.addEventListener("click", (event) => this.#click(event));
  }

  begin(bars: Bars, label: string): void {
    delete this.root.dataset["layers"];
    this.#bars = bars;
    this.#marks = new Imbalances();
    this.#chosen = null;
    this.#canvas.setAttribute("aria-label", `${label}; the table below has the rows of the selected bar`);
    this.#measure();
    const newest = bars.newest();
    this.#scroller.scrollLeft = this.#space.scrollWidth;
    if (newest !== undefined) {
      this.#show(newest);
      this.#centre(newest);
    }
    this.redraw();
  }

  put(bar: Bar): void {
    if (this.#bars === null || this.#bars.put(bar) === "outside") return;
    const atEnd = this.#scroller.scrollLeft + this.#scroller.clientWidth >= this.#space.scrollWidth - COLUMN;
    this.#measure();
    if (atEnd) this.#scroller.scrollLeft = this.#space.scrollWidth;
    const at = Date.parse(bar.period_start);
    if (this.#chosen === at || (this.#chosen === null && at + this.#bars.timeframeMs === this.#bars.endMs)) this.#show(bar);
    this.redraw();
  }

  setMarks(imbalances: Study<ImbalanceItem>, stacks: Study<StackItem>): void {
    this.#marks = new Imbalances();
    this.#marks.add(imbalances.items, stacks.items);
    const bar = this.#chosen === null ? this.#bars?.newest() : this.#bars?.at(this.#chosen);
    if (bar !== undefined) this.#show(bar);
    this.redraw();
  }

  choose(at: number): void {
    const bar = this.#bars?.at(at);
    if (bar === undefined) return;
    this.#chosen = at;
    this.#show(bar);
    const spot = this.#place(at);
    if (spot !== null && (spot.x < AXIS || spot.x + spot.width > this.#scroller.clientWidth)) {
      this.#scroller.scrollLeft += spot.x - this.#scroller.clientWidth / 2;
    }
    this.redraw();
  }

  step(step: 1 | -1): void {
    const bars = this.#bars;
    const bar = bars?.beside(this.#chosen ?? bars.endMs, step);
    if (bar !== undefined) this.choose(Date.parse(bar.period_start));
  }

  redraw(): void {
    if (this.#drawing === 0) this.#drawing = requestAnimationFrame(() => this.#draw());
  }

  #draw(): void {
    this.#drawing = 0;
    const [bars, grid, place] = [this.#bars, this.#grid, this.#scroller];
    if (bars === null || grid === null) return;
    const sight = { left: place.scrollLeft, top: place.scrollTop, width: place.clientWidth, height: place.clientHeight };
    const colours = palette();
    this.#painter.draw(bars, grid, this.#marks, sight, this.#chosen, colours);
    this.#strip.draw(bars, this.#place, place.clientWidth, colours);
  }

  #measure(): void {
    this.#grid = this.#bars === null ? null : gridOf(this.#bars);
    if (this.#bars === null || this.#grid === null) return;
    const columns = [...this.#bars.slots()].length;
    const high = heightOf(this.#grid);
    this.#space.style.width = `${AXIS + columns * COLUMN}px`;
    this.#space.style.height = `${high}px`;
    this.#scroller.style.height = `${Math.min(high, MOST_HEIGHT)}px`;
  }

  readonly #place: Place = (startMs) => {
    if (this.#bars === null) return null;
    const columns = [...this.#bars.slots()];
    const first = columns[0]?.[0] ?? 0;
    const column = (startMs - first) / this.#bars.timeframeMs;
    return { x: AXIS + column * COLUMN - this.#scroller.scrollLeft, width: COLUMN };
  };

  #show(bar: Bar): void {
    this.#inspector.show(bar);
    this.#table.show(bar, this.#marks);
  }

  #centre(bar: Bar): void {
    if (this.#grid === null || bar.high === null || bar.low === null) return;
    const middle = (Number(bar.high) + Number(bar.low)) / 2;
    const share = (this.#grid.high - middle) / (this.#grid.step * this.#grid.rows);
    this.#scroller.scrollTop = share * this.#space.offsetHeight - this.#scroller.clientHeight / 2;
  }

  #click(event: MouseEvent): void {
    const bars = this.#bars;
    if (bars === null) return;
    const x = event.clientX - this.#canvas.getBoundingClientRect().left + this.#scroller.scrollLeft - AXIS;
    const slot = [...bars.slots()][Math.floor(x / COLUMN)];
    if (slot !== undefined) this.choose(slot[0]);
  }
}
