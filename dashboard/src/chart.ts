// The candle chart: bars, delta and cumulative delta in panes of one time axis, layers over it.

import {
  CandlestickSeries,
  HistogramSeries,
  type IChartApi,
  type IPriceLine,
  type ISeriesApi,
  type ISeriesMarkersPluginApi,
  LineSeries,
  LineStyle,
  type LineWidth,
  type SeriesMarker,
  type Time,
  type UTCTimestamp,
  createChart,
  createSeriesMarkers,
} from "lightweight-charts";
import type { Bar, EventReport, Profile } from "./answers.ts";
import type { Bars } from "./bars.ts";
import { placesOf } from "./decimal.ts";
import { element } from "./element.ts";
import { kindMark } from "./events.ts";
import { LabelLayer } from "./label_layer.ts";
import { ProfileLayer } from "./profile_layer.ts";
import type { ProfileRow } from "./profile_rows.ts";
import type { Place } from "./strip.ts";
import { type Palette, palette } from "./theme.ts";

export interface Point {
  readonly at: number;
  readonly value: string | null;
}
export interface LineLook {
  readonly pane: number;
  readonly title: string;
  readonly colour: keyof Palette;
  readonly style: LineStyle;
  readonly width: LineWidth;
}
export interface PriceMark {
  readonly price: string;
  readonly title: string;
  readonly colour: keyof Palette;
  readonly style: LineStyle;
}

/** More names than this would cover the bars. */
const MOST_NAMED = 30;

const seconds = (ms: number): UTCTimestamp => (ms / 1_000) as UTCTimestamp;

export class Chart {
  readonly root = element("div", { class: "chart", role: "img", "aria-label": "Candles" });
  readonly #chart: IChartApi;
  readonly #candles: ISeriesApi<"Candlestick", Time>;
  readonly #delta: ISeriesApi<"Histogram", Time> | null;
  readonly #markers: ISeriesMarkersPluginApi<Time>;
  readonly #profile: ProfileLayer;
  readonly #labels = new LabelLayer();
  readonly #lines = new Map<string, ISeriesApi<"Line", Time>>();
  readonly #marks = new Map<string, IPriceLine[]>();
  readonly #colours: Palette = palette();
  #timeframeMs = 60_000;

  constructor(options: { tickSize: string; delta: boolean; panes: number }) {
    const colours = this.#colours;
    this.#chart = createChart(this.root, {
      autoSize: true,
      layout: {
        background: { color: "transparent" },
        textColor: colours.faint,
        fontFamily: "ui-monospace, monospace",
        // The logo brings a style element of its own, which the policy forbids: the footer links.
        attributionLogo: false,
        panes: { separatorColor: colours.line },
      },
      grid: { vertLines: { color: colours.line }, horzLines: { color: colours.line } },
      rightPriceScale: { borderColor: colours.line },
      timeScale: { borderColor: colours.line, timeVisible: true, secondsVisible: false },
      crosshair: { mode: 0 },
    });
    // All panes now: lines come in any order, and each has its place.
    while (this.#chart.panes().length < options.panes) this.#chart.addPane(true);
    const places = placesOf(options.tickSize);
    this.#candles = this.#chart.addSeries(CandlestickSeries, {
      // Rising bars are hollow, falling ones filled: no colour is needed to tell them apart.
      upColor: colours.panel,
      downColor: colours.sell,
      borderUpColor: colours.buy,
      borderDownColor: colours.sell,
      wickUpColor: colours.buy,
      wickDownColor: colours.sell,
      priceFormat: { type: "price", precision: places, minMove: Number(options.tickSize) },
      lastValueVisible: true,
    });
    this.#profile = new ProfileLayer(colours);
    this.#candles.attachPrimitive(this.#profile);
    this.#candles.attachPrimitive(this.#labels);
    this.#markers = createSeriesMarkers(this.#candles, []);
    this.#delta = options.delta
      ? this.#chart.addSeries(HistogramSeries, { priceFormat: { type: "volume" }, title: "delta", priceLineVisible: false }, 1)
      : null;
  }

  /** Panes below the candles share what the candles leave. */
  balance(): void {
    const panes = this.#chart.panes();
    panes.forEach((pane, index) => pane.setStretchFactor(index === 0 ? 4 : 1));
  }

  setBars(bars: Bars): void {
    this.#timeframeMs = bars.timeframeMs;
    const slots = [...bars.slots()];
    this.#candles.setData(slots.map(([at, bar]) => this.#candle(at, bar)));
    this.#delta?.setData(slots.map(([at, bar]) => this.#bar(at, bar)));
    this.#fit();
  }

  /** Its size is known only after the first layout, and bars fitted to no width stay narrow. */
  #fit(): void {
    const scale = this.#chart.timeScale();
    const fit = (): void => {
      if (scale.width() === 0) return;
      scale.unsubscribeSizeChange(fit);
      scale.fitContent();
    };
    scale.subscribeSizeChange(fit);
    fit();
  }

  update(bar: Bar): void {
    const at = Date.parse(bar.period_start);
    this.#candles.update(this.#candle(at, bar), true);
    this.#delta?.update(this.#bar(at, bar), true);
  }

  setProfile(profile: Profile | null, rows: readonly ProfileRow[]): void {
    this.#profile.show(profile, rows);
    const marks: PriceMark[] = [];
    const add = (price: string | null | undefined, title: string, style: LineStyle): void => {
      if (price) marks.push({ price, title, colour: title === "POC" ? "strong" : "faint", style });
    };
    add(profile?.poc, "POC", LineStyle.Solid);
    add(profile?.vah, "VAH", LineStyle.Dashed);
    add(profile?.val, "VAL", LineStyle.Dashed);
    this.setMarks("profile", marks);
  }

  setMarks(group: string, marks: readonly PriceMark[]): void {
    for (const old of this.#marks.get(group) ?? []) this.#candles.removePriceLine(old);
    const made = marks.map((mark) =>
      this.#candles.createPriceLine({
        price: Number(mark.price),
        title: mark.title,
        color: this.#colours[mark.colour],
        lineStyle: mark.style,
        lineWidth: 1,
        axisLabelVisible: group === "profile",
      }),
    );
    this.#marks.set(group, made);
    if (group === "profile") return;
    const words = marks.map((mark) => ({ price: Number(mark.price), words: mark.title, colour: this.#colours[mark.colour] }));
    this.#labels.show(group, words);
  }

  setLine(name: string, look: LineLook, points: readonly Point[]): void {
    let line = this.#lines.get(name);
    if (line === undefined) {
      line = this.#chart.addSeries(
        LineSeries,
        {
          color: this.#colours[look.colour],
          lineStyle: look.style,
          lineWidth: look.width,
          title: look.title,
          priceLineVisible: false,
          lastValueVisible: look.pane > 0,
          crosshairMarkerVisible: false,
          ...(look.pane > 0 ? { priceFormat: { type: "volume" as const } } : { autoscaleInfoProvider: () => null }),
        },
        look.pane,
      );
      this.#lines.set(name, line);
      this.balance();
    }
    line.setData(
      points.map(({ at, value }) => (value === null ? { time: seconds(at) } : { time: seconds(at), value: Number(value) })),
    );
  }

  setEvents(events: readonly EventReport[]): void {
    const named = events.length <= MOST_NAMED;
    const markers = events
      .map((event): SeriesMarker<Time> => {
        const start = Math.floor(Date.parse(event.period_start) / this.#timeframeMs) * this.#timeframeMs;
        const buy = event.side === "buy";
        return {
          id: event.id,
          time: seconds(start),
          position: buy ? "belowBar" : "aboveBar",
          shape: event.side === null ? "circle" : buy ? "arrowUp" : "arrowDown",
          color: event.side === null ? this.#colours.mark : buy ? this.#colours.buy : this.#colours.sell,
          ...(named ? { text: kindMark(event.kind) } : {}),
        };
      })
      .sort((first, second) => Number(first.time) - Number(second.time));
    this.#markers.setMarkers(markers);
  }

  /** Clicks: on a marker its event, else the bar. */
  onClick(event: (id: string) => void, bar: (startMs: number) => void): void {
    this.#chart.subscribeClick((click) => {
      if (typeof click.hoveredObjectId === "string") event(click.hoveredObjectId);
      else if (click.time !== undefined) bar(Number(click.time) * 1_000);
    });
  }

  onMove(bar: (startMs: number) => void, scrolled: () => void): void {
    this.#chart.subscribeCrosshairMove((move) => {
      if (move.time !== undefined) bar(Number(move.time) * 1_000);
    });
    this.#chart.timeScale().subscribeVisibleLogicalRangeChange(scrolled);
    this.#chart.timeScale().subscribeSizeChange(scrolled);
  }

  point(bar: Bar): void {
    if (bar.close === null) return;
    this.#chart.setCrosshairPosition(Number(bar.close), seconds(Date.parse(bar.period_start)), this.#candles);
  }

  readonly place: Place = (startMs) => {
    const scale = this.#chart.timeScale();
    const x = scale.timeToCoordinate(seconds(startMs));
    if (x === null) return null;
    const width = scale.options().barSpacing;
    return { x: x - width / 2, width };
  };

  get width(): number {
    return this.#chart.timeScale().width();
  }

  remove(): void {
    this.#chart.remove();
  }

  #candle(at: number, bar: Bar | undefined): { time: UTCTimestamp; open?: number; high?: number; low?: number; close?: number } {
    if (!bar || bar.open === null || bar.high === null || bar.low === null || bar.close === null) return { time: seconds(at) };
    return {
      time: seconds(at),
      open: Number(bar.open),
      high: Number(bar.high),
      low: Number(bar.low),
      close: Number(bar.close),
    };
  }

  #bar(at: number, bar: Bar | undefined): { time: UTCTimestamp; value?: number; color?: string } {
    if (bar === undefined) return { time: seconds(at) };
    const value = Number(bar.delta);
    return { time: seconds(at), value, color: value < 0 ? this.#colours.sell : this.#colours.buy };
  }
}
