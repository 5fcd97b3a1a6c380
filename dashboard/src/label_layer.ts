// Names of price lines at the left edge: the axis would be covered by them.

import type { IPrimitivePaneRenderer, IPrimitivePaneView, ISeriesApi, ISeriesPrimitive, SeriesAttachedParameter, SeriesType, Time } from "lightweight-charts";

export interface Label {
  readonly price: number;
  readonly words: string;
  readonly colour: string;
}

const HEIGHT = 12;

export class LabelLayer implements ISeriesPrimitive<Time> {
  #series: ISeriesApi<SeriesType, Time> | null = null;
  #redraw: () => void = () => undefined;
  readonly #groups = new Map<string, readonly Label[]>();
  readonly #views: readonly IPrimitivePaneView[];

  constructor() {
    const renderer: IPrimitivePaneRenderer = { draw: (target) => this.#draw(target) };
    this.#views = [{ zOrder: () => "top", renderer: () => renderer }];
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

  show(group: string, labels: readonly Label[]): void {
    this.#groups.set(group, labels);
    this.#redraw();
  }

  #draw(target: Parameters<IPrimitivePaneRenderer["draw"]>[0]): void {
    target.useMediaCoordinateSpace(({ context }) => {
      const placed = [...this.#groups.values()]
        .flat()
        .map((label) => ({ label, y: this.#series?.priceToCoordinate(label.price) ?? null }))
        .filter((one): one is { label: Label; y: NonNullable<typeof one.y> } => one.y !== null)
        .sort((first, second) => first.y - second.y);
      context.font = "10px ui-monospace, monospace";
      context.textBaseline = "bottom";
      let [x, last] = [4, -Infinity];
      for (const { label, y } of placed) {
        // Lines close together are named beside each other.
        x = y - last < HEIGHT ? x : 4;
        context.fillStyle = label.colour;
        context.fillText(label.words, x, y - 1);
        x += context.measureText(label.words).width + 10;
        last = y;
      }
    });
  }
}
