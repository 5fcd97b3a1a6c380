// The chart with its strip, its layers and the bar that was chosen.

import { LineStyle } from "lightweight-charts";
import type { Bar, CvdItem, EventReport, KeyLevels, NakedItem, Profile, SizeItem, Study, VwapItem } from "./answers.ts";
import type { Bars } from "./bars.ts";
import { Chart, type PriceMark } from "./chart.ts";
import { element } from "./element.ts";
import { Inspector } from "./inspector.ts";
import { nodesOf, profileRows } from "./profile_rows.ts";
import { Strip } from "./strip.ts";
import { palette } from "./theme.ts";
import type { Layer, Market } from "./view_state.ts";

const MOST_LEVELS = 14;

export class ChartView {
  readonly root: HTMLElement;
  readonly inspector = new Inspector();
  readonly #strip = new Strip("Completeness of the bars above");
  readonly #place = element("div", { class: "plot" });
  readonly #openEvent: (id: string) => void;
  #chart: Chart | null = null;
  #bars: Bars | null = null;
  #chosen: number | null = null;
  #nodes = new Map<string, "HVN" | "LVN">();
  #drawing = 0;

  constructor(openEvent: (id: string) => void) {
    this.#openEvent = openEvent;
    this.root = element("section", { class: "card view", "aria-label": "Chart" }, this.#place, this.#strip.root, this.inspector.root);
  }

  /** A new chart for new bars; its panes depend on the layers. */
  begin(bars: Bars, tickSize: string, layers: readonly Layer[], label: string): void {
    this.end();
    const panes = 1 + ["delta", "cvd", "sizes"].filter((one) => layers.includes(one as Layer)).length;
    const chart = new Chart({ tickSize, delta: layers.includes("delta"), panes });
    this.#chart = chart;
    this.#bars = bars;
    this.#chosen = null;
    delete this.root.dataset["layers"];
    chart.root.setAttribute("aria-label", label);
    chart.root.classList.add(`panes-${panes}`);
    this.#place.replaceChildren(chart.root);
    chart.setBars(bars);
    chart.balance();
    chart.onClick(this.#openEvent, (at) => this.choose(at));
    chart.onMove(
      (at) => this.#inspect(at),
      () => this.redraw(),
    );
    const newest = bars.newest();
    if (newest !== undefined) this.inspector.show(newest);
    this.redraw();
  }

  end(): void {
    this.#chart?.remove();
    this.#chart = null;
  }

  put(bar: Bar): void {
    const bars = this.#bars;
    if (bars === null || this.#chart === null || bars.put(bar) === "outside") return;
    this.#chart.update(bar);
    const at = Date.parse(bar.period_start);
    if (this.#chosen === at || (this.#chosen === null && at + bars.timeframeMs === bars.endMs)) this.inspector.show(bar);
    this.redraw();
  }

  choose(at: number): void {
    const bar = this.#bars?.at(at);
    if (bar === undefined) return;
    this.#chosen = at;
    this.inspector.show(bar);
    this.#chart?.point(bar);
  }

  step(step: 1 | -1): void {
    const bars = this.#bars;
    if (bars === null) return;
    const from = this.#chosen ?? bars.endMs;
    const bar = bars.beside(from, step);
    if (bar !== undefined) this.choose(Date.parse(bar.period_start));
  }

  setProfile(profile: Profile | null): void {
    if (profile?.levels) this.#nodes = nodesOf(profile);
    this.#chart?.setProfile(profile, profile === null ? [] : profileRows(profile, this.#nodes));
  }

  setEvents(events: readonly EventReport[]): void {
    this.#chart?.setEvents(events);
  }

  /** The nearest levels; VWAP bands and naked POCs are layers of their own. */
  setLevels(levels: KeyLevels): void {
    const mine = levels.levels.filter((one) => !one.name.startsWith("naked_") && !one.name.includes("vwap"));
    const marks = mine.slice(0, MOST_LEVELS).map(
      (one): PriceMark => ({ price: one.price, title: one.name.replaceAll("_", " "), colour: "faint", style: LineStyle.Dotted }),
    );
    this.#chart?.setMarks("levels", marks);
  }

  setNaked(study: Study<NakedItem>): void {
    const mine = study.items.filter((one) => one.kind === "poc" && one.status === "untested");
    const marks = mine.map(
      (one): PriceMark => ({ price: one.price, title: `naked POC ${one.session_start.slice(5, 10)}`, colour: "mark", style: LineStyle.LargeDashed }),
    );
    this.#chart?.setMarks("naked", marks);
  }

  setVwap(study: Study<VwapItem>, lengthMs: number): void {
    const looks = { vwap: LineStyle.Solid, lower_1: LineStyle.Dashed, upper_1: LineStyle.Dashed, lower_2: LineStyle.Dotted, upper_2: LineStyle.Dotted } as const;
    for (const [name, style] of Object.entries(looks)) {
      const points = study.items.map((item) => ({ at: Date.parse(item.at) - lengthMs, value: item[name as keyof typeof looks] }));
      this.#chart?.setLine(name, { pane: 0, title: "", colour: "mark", style, width: 1 }, points);
    }
  }

  setCvd(market: Market, study: Study<CvdItem>, pane: number): void {
    const spot = market === "spot";
    const points = study.items.map((item) => ({ at: Date.parse(item.period_start), value: item.close }));
    const style = spot ? LineStyle.Dashed : LineStyle.Solid;
    this.#chart?.setLine(`cvd-${market}`, { pane, title: `CVD ${market}`, colour: spot ? "sell" : "buy", style, width: 2 }, points);
  }

  setSizes(study: Study<SizeItem>, pane: number): void {
    const looks = { small_cvd: ["small", "faint", LineStyle.Dotted], mid_cvd: ["mid", "sell", LineStyle.Dashed], large_cvd: ["large", "buy", LineStyle.Solid] } as const;
    for (const [name, [title, colour, style]] of Object.entries(looks)) {
      const points = study.items.map((item) => ({ at: Date.parse(item.period_start), value: item[name as keyof typeof looks] }));
      this.#chart?.setLine(name, { pane, title, colour, style, width: 2 }, points);
    }
  }

  /** At most once a frame, whatever moved. */
  redraw(): void {
    if (this.#drawing !== 0) return;
    this.#drawing = requestAnimationFrame(() => {
      this.#drawing = 0;
      const [bars, chart] = [this.#bars, this.#chart];
      if (bars !== null && chart !== null) this.#strip.draw(bars, chart.place, chart.width, palette());
    });
  }

  #inspect(at: number): void {
    const bar = this.#bars?.at(at);
    if (bar !== undefined) this.inspector.show(bar);
  }
}
