// Volume at price beside the candles, drawn by the chart itself so that it moves with its scale.

import type {
  IPrimitivePaneRenderer,
  IPrimitivePaneView,
  ISeriesApi,
  ISeriesPrimitive,
  SeriesAttachedParameter,
  SeriesType,
  Time,
} from "lightweight-charts";
import type { Profile } from "./answers.ts";
import type { ProfileRow } from "./profile_rows.ts";
import type { Palette } from "./theme.ts";

type Target = Parameters<IPrimitivePaneRenderer["draw"]>[0];
const SHARE = 0.24;

export class ProfileLayer implements ISeriesPrimitive<Time> {
  #series: ISeriesApi<SeriesType, Time> | null = null;
  #redraw: () => void = () => undefined;
  #profile: Profile | null = null;
  #rows: readonly ProfileRow[] = [];
  #colours: Palette;
  readonly #views: readonly IPrimitivePaneView[];

  constructor(colours: Palette) {
    this.#colours = colours;
    const renderer: IPrimitivePaneRenderer = { draw: (target) => this.#draw(target) };
    this.#views = [{ zOrder: () => "bottom", renderer: () => renderer }];
  }

  attached(to: SeriesAttachedParameter<Time>): void {
    this.#series = to.series;
    this.#redraw = to.requestUpdate;
  }

  detached(): void {
    this.#series = null;
    this.#redraw = () => undefined;
  }

  paneViews(): readonly IPrimitivePaneView[] {
    return this.#views;
  }

  show(profile: Profile | null, rows: readonly ProfileRow[]): void {
    this.#profile = profile;
    this.#rows = rows;
    this.#redraw();
  }

  #y(price: number): number | null {
    return this.#series?.priceToCoordinate(price) ?? null;
  }

  #draw(target: Target): void {
    const profile = this.#profile;
    if (profile === null || this.#rows.length === 0) return;
    target.useMediaCoordinateSpace(({ context, mediaSize }) => {
      const step = Number(profile.row_size);
      const largest = Math.max(...this.#rows.map((row) => Number(row.volume)));
      const [poc, val, vah] = [profile.poc, profile.val, profile.vah].map(Number);
      const reach = mediaSize.width * SHARE;
      for (const row of this.#rows) {
        const price = Number(row.price);
        const bottom = this.#y(price);
        const top = this.#y(price + step);
        if (bottom === null || top === null || bottom < 0 || top > mediaSize.height) continue;
        const inside = price >= (val ?? 0) && price <= (vah ?? 0);
        const height = Math.max(1, bottom - top - (bottom - top > 3 ? 1 : 0));
        const buy = (Number(row.buy) / largest) * reach;
        const sell = (Number(row.sell) / largest) * reach;
        context.globalAlpha = inside ? 0.62 : 0.28;
        context.fillStyle = this.#colours.buy;
        context.fillRect(mediaSize.width - buy, top, buy, height);
        context.fillStyle = this.#colours.sell;
        context.fillRect(mediaSize.width - buy - sell, top, sell, height);
        context.globalAlpha = 1;
        if (price === poc) {
          context.strokeStyle = this.#colours.strong;
          context.lineWidth = 1.5;
          context.strokeRect(mediaSize.width - buy - sell, top, buy + sell - 1, Math.max(2, height));
        }
        if (row.node !== null) this.#node(context, row.node, mediaSize.width - buy - sell, (top + bottom) / 2);
      }
    });
  }

  /** A filled diamond for much volume, a hollow one for little. */
  #node(context: CanvasRenderingContext2D, node: "HVN" | "LVN", x: number, y: number): void {
    const left = x - 10;
    context.beginPath();
    context.moveTo(left, y);
    context.lineTo(left + 4, y - 4);
    context.lineTo(left + 8, y);
    context.lineTo(left + 4, y + 4);
    context.closePath();
    context.fillStyle = context.strokeStyle = this.#colours.mark;
    context.lineWidth = 1.2;
    if (node === "HVN") context.fill();
    else context.stroke();
  }
}
