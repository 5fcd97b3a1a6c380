// What the view asks REST and the stream.

import type {
  CvdItem,
  EventReport,
  Flow,
  Footprint,
  ImbalanceItem,
  KeyLevels,
  NakedItem,
  Profile,
  SizeItem,
  StackItem,
  Study,
  VwapItem,
} from "./answers.ts";
import { type Params, answer } from "./api.ts";
import { Bars } from "./bars.ts";
import { barCount, isTimeframe, rangeMs, timeframeMs } from "./ranges.ts";
import type { Market, ViewState } from "./view_state.ts";

const MOST_ROWS = 60;
const MOST_EVENTS = 100;
const WEEK_MS = 7 * 86_400_000;

export class Question {
  readonly state: ViewState;
  readonly #signal: AbortSignal;

  constructor(state: ViewState, signal: AbortSignal) {
    this.state = state;
    this.#signal = signal;
  }

  get live(): boolean {
    return this.state.until === "";
  }

  /** Bars of the range; a footprint shows the newest of them. */
  get count(): number {
    const count = barCount(this.state.range, this.state.timeframe);
    return this.state.view === "footprint" ? Math.min(count, MOST_ROWS) : count;
  }

  get streamed(): Params {
    const { symbol, timeframe } = this.state;
    const detail = this.state.view === "footprint" ? "rows" : "summary";
    return { symbols: symbol, channels: "bars,order_flow,status,events", timeframe, detail, numbers: "string", ...this.#of() };
  }

  get streamedProfile(): Params {
    const { symbol, profile } = this.state;
    return { symbols: symbol, channels: "volume_profile", timeframe: profile, detail: "rows", numbers: "string", ...this.#of() };
  }

  async bars(): Promise<[Footprint, Bars]> {
    const detail = this.state.view === "footprint" ? "rows" : "summary";
    const found = await this.#ask<Footprint>("footprint", { timeframe: this.state.timeframe, detail, ...this.#span() });
    const length = timeframeMs(this.state.timeframe);
    const last = found.bars.at(-1);
    const newest = this.live || last === undefined ? Date.parse(last?.period_start ?? "") : this.#end() - length;
    return [found, new Bars(length, this.count, newest, found.bars)];
  }

  async profile(): Promise<Profile> {
    const params: Params = { timeframe: this.state.profile, context: "none" };
    if (this.live) return this.#ask<Profile>("volume_profile", params);
    const history = await this.#ask<{ items: Profile[] }>("volume_profile", { ...params, end: this.#end(), limit: 1 });
    const [item] = history.items;
    if (item === undefined) throw new Error("no profile of that window");
    return item;
  }

  async flow(): Promise<Flow> {
    const params: Params = { period: "5m", context: "none" };
    if (this.live) return this.#ask<Flow>("order_flow", { ...params, detail: "summary" });
    const history = await this.#ask<{ items: Flow[] }>("order_flow", { ...params, detail: "summary", end: this.#end(), limit: 1 });
    const [item] = history.items;
    if (item === undefined) throw new Error("no order flow of that window");
    return item;
  }

  async events(sinceMs: number): Promise<EventReport[]> {
    const { symbol } = this.state;
    // A cursor of this form is what the server gives where it stopped between two events.
    const cursor = this.live ? undefined : `${this.#end() + 1}-${"0".repeat(32)}`;
    const params = { symbol, since: sinceMs, limit: MOST_EVENTS, cursor, ...this.#of() };
    const found = await answer<{ events: EventReport[] }>("events", params, this.#signal);
    const least = timeframeMs(this.state.timeframe);
    // An event of a shorter bar has no bar of its own here.
    return found.events.filter(
      (event) => isTimeframe(event.timeframe) && timeframeMs(event.timeframe) >= least,
    );
  }

  /** Of the sessions of the week before the end. */
  naked(): Promise<Study<NakedItem>> {
    const span = this.live ? {} : { start: this.#end() - WEEK_MS, end: this.#end() };
    return this.#ask<Study<NakedItem>>("indicators/naked_levels", span);
  }

  levels(): Promise<KeyLevels> {
    return this.#ask<KeyLevels>("levels", {});
  }

  /** CVD of one market alone: spot beside perp is told apart. */
  cvd(market: Market): Promise<Study<CvdItem>> {
    return this.#study<CvdItem>("cvd", { market });
  }

  sizes(): Promise<Study<SizeItem>> {
    return this.#study<SizeItem>("size_class_cvd", {});
  }

  vwap(): Promise<Study<VwapItem>> {
    return this.#study<VwapItem>("vwap", {});
  }

  imbalances(): Promise<Study<ImbalanceItem>> {
    return this.#study<ImbalanceItem>("diagonal_imbalance", {});
  }

  stacks(): Promise<Study<StackItem>> {
    return this.#study<StackItem>("stacked_imbalance", {});
  }

  #study<T>(name: string, more: Params): Promise<Study<T>> {
    return this.#ask<Study<T>>(`indicators/${name}`, { timeframe: this.state.timeframe, ...this.#span(), ...more });
  }

  #ask<T>(path: string, params: Params): Promise<T> {
    return answer<T>(`${path}/${encodeURIComponent(this.state.symbol)}`, { ...this.#of(), ...params }, this.#signal);
  }

  #of(): Params {
    const { exchange, market } = this.state;
    return { exchange: exchange === "aggregated" ? undefined : exchange, market: market || undefined };
  }

  #end(): number {
    return Date.parse(this.state.until);
  }

  #span(): Params {
    if (this.live) return { limit: this.count };
    const end = this.#end();
    return { start: end - Math.min(rangeMs(this.state.range), this.count * timeframeMs(this.state.timeframe)), end };
  }
}
