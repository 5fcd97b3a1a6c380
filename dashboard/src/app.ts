// The page: what is asked for, what came, and what the stream changes of it.

import type { Bar, EventReport, Flow, Profile, Status, SymbolLine, Symbols } from "./answers.ts";
import { ApiError, answer } from "./api.ts";
import { ChartView } from "./chart_view.ts";
import { element } from "./element.ts";
import { EventList } from "./events.ts";
import { Feeds } from "./feeds.ts";
import { FootprintView } from "./footprint_view.ts";
import { FrameQueue } from "./frame_queue.ts";
import { Headline } from "./headline.ts";
import { KeyDialog } from "./key_dialog.ts";
import { chartLayers, footprintLayers } from "./layers.ts";
import { Pickers } from "./pickers.ts";
import { Question } from "./question.ts";
import { isTimeframe, rangeMs, timeframeMs } from "./ranges.ts";
import { StatusLine } from "./status_line.ts";
import { LiveStream, type Change, type Health, type Heartbeat } from "./stream.ts";
import { type ViewState, parsed, printed } from "./view_state.ts";

const FEEDS_EVERY_MS = 5_000;
const SLOW_EVERY_MS = 60_000;
const TICK_MS = 250;

export class App {
  readonly pickers: Pickers;
  readonly line = new StatusLine();
  readonly key: KeyDialog;
  readonly #headline = new Headline();
  readonly #feeds = new Feeds();
  readonly #events: EventList;
  readonly #chart: ChartView;
  readonly #footprint = new FootprintView();
  readonly #body = element("div", { class: "body" });
  readonly #queue: FrameQueue<Change>;
  #state: ViewState;
  #symbols: readonly SymbolLine[] = [];
  #streams: LiveStream[] = [];
  #control = new AbortController();
  #slow = 0;
  #newestMs = 0;
  #ready: Health = "connecting";

  constructor(main: HTMLElement) {
    this.#state = parsed(location.hash);
    this.pickers = new Pickers((change) => this.go(change));
    this.key = new KeyDialog(() => void this.start());
    this.#chart = new ChartView((id) => this.#events.open(id));
    this.#events = new EventList((event) => {
      const length = timeframeMs(this.#state.timeframe);
      this.#current.choose(Math.floor(Date.parse(event.period_start) / length) * length);
    });
    this.#queue = new FrameQueue((found) => this.#apply(found));
    main.append(this.line.problem, this.pickers.root, this.#body);
    this.#body.append(this.pickers.layers);
    window.addEventListener("hashchange", () => {
      if (location.hash !== printed(this.#state)) this.#show(parsed(location.hash));
    });
    document.addEventListener("visibilitychange", () => this.#pause(document.hidden));
    window.setInterval(() => this.#tickAges(), TICK_MS);
  }

  get #current(): ChartView | FootprintView {
    return this.#state.view === "footprint" ? this.#footprint : this.#chart;
  }

  /** From nothing: what is collected, then what is asked for. */
  async start(): Promise<void> {
    try {
      const known = await answer<Symbols>("symbols", { detail: "summary" }, new AbortController().signal);
      this.#symbols = known.symbols;
      this.line.market(known.source);
      this.pickers.offer(known.symbols);
      this.#show(this.#state);
    } catch (error) {
      this.#failed(error);
      const wait = error instanceof ApiError && error.status !== 401 ? (error.retryAfterS ?? 2) : null;
      if (wait !== null) window.setTimeout(() => void this.start(), wait * 1_000);
    }
  }

  go(change: Partial<ViewState>): void {
    const next = parsed(printed({ ...this.#state, ...change }));
    history.pushState(null, "", printed(next));
    this.#show(next);
  }

  step(step: 1 | -1): void {
    this.#current.step(step);
  }

  /** Colours are read when something is drawn, so it is drawn anew. */
  recolour(): void {
    this.#show(this.#state);
  }

  #show(asked: ViewState): void {
    this.#leave();
    const state = this.#completed(asked);
    this.#state = state;
    this.pickers.show(state);
    this.line.fail("");
    document.title = state.symbol ? `${state.symbol} ${state.timeframe} · WADM` : "WADM";
    this.#control = new AbortController();
    if (state.view === "feeds") {
      this.#body.replaceChildren(this.#feeds.root);
      void this.#watchFeeds(this.#control.signal);
    } else if (state.symbol) {
      const side = element("div", { class: "side" }, this.#headline.root, this.#events.root);
      this.#body.replaceChildren(this.pickers.layers, element("div", { class: "columns" }, this.#current.root, side));
      void this.#load(new Question(state, this.#control.signal), this.#control.signal);
    }
  }

  #completed(asked: ViewState): ViewState {
    const names = this.#symbols.map((one) => one.symbol);
    const symbol = asked.symbol || (names.includes("BTCUSDT") ? "BTCUSDT" : (names[0] ?? ""));
    const markets = this.#symbols.filter((one) => one.symbol === symbol).map((one) => one.market);
    const market = asked.market || (markets.includes("perp") ? "perp" : "spot");
    return { ...asked, symbol, market };
  }

  #leave(): void {
    this.#control.abort();
    clearTimeout(this.#slow);
    for (const stream of this.#streams) stream.stop();
    this.#streams = [];
    this.#queue.clear();
  }

  async #load(question: Question, signal: AbortSignal): Promise<void> {
    const { state } = question;
    try {
      const [profiled, flowed] = [question.profile(), question.flow()];
      // Waited for below: one that fails first must not be an unheard rejection.
      profiled.catch(() => undefined);
      flowed.catch(() => undefined);
      const [found, bars] = await question.bars();
      this.line.market(found.source);
      this.#newestMs = bars.endMs;
      const label = `${found.symbol} ${found.exchange} ${found.market} ${found.timeframe}, ${found.bars.length} bars`;
      if (state.view === "footprint") this.#footprint.begin(bars, label);
      else this.#chart.begin(bars, this.#tick(state), state.layers, label);
      requestAnimationFrame(() => performance.mark("first-chart"));
      this.#headline.showFlow(await flowed, performance.now(), question.live);
      this.#showProfile(await profiled);
      if (question.live) this.#listen(question);
      else this.line.tell("fixed", `fixed: until ${state.until}`);
      await this.#layers(question, bars.startMs, signal);
    } catch (error) {
      if (!signal.aborted) this.#failed(error);
    }
  }

  #showProfile(profile: Profile): void {
    this.#headline.showProfile(profile, performance.now(), this.#state.until === "");
    this.#chart.setProfile(this.#state.layers.includes("profile") ? profile : null);
  }

  /** Asked again each minute. */
  async #layers(question: Question, sinceMs: number, signal: AbortSignal): Promise<void> {
    const { state } = question;
    const markets = this.#symbols.filter((one) => one.symbol === state.symbol).map((one) => one.market);
    const problem =
      state.view === "footprint"
        ? await footprintLayers(question, sinceMs, this.#footprint, this.#events)
        : await chartLayers(question, markets, sinceMs, this.#chart, this.#events);
    if (signal.aborted) return;
    this.line.fail(problem);
    this.#current.root.dataset["layers"] = "shown";
    if (question.live) this.#slow = window.setTimeout(() => void this.#again(question, sinceMs, signal), SLOW_EVERY_MS);
  }

  async #again(question: Question, sinceMs: number, signal: AbortSignal): Promise<void> {
    try {
      this.#showProfile(await question.profile());
    } catch (error) {
      if (!signal.aborted) this.#failed(error);
    }
    await this.#layers(question, sinceMs, signal);
  }

  #listen(question: Question): void {
    const heard = {
      changed: (change: Change) => this.#queue.put(change.key, change),
      beat: (heartbeat: Heartbeat) => this.#beat(heartbeat),
      // What lies between is not told any more: all of it is asked again.
      reset: () => this.#show(this.#state),
      health: (health: Health, words: string) => this.#health(health, words),
    };
    const quiet = { ...heard, beat: () => undefined, health: () => undefined };
    this.#streams = [new LiveStream(question.streamed, heard), new LiveStream(question.streamedProfile, quiet)];
    this.#pause(document.hidden);
  }

  #health(health: Health, words: string): void {
    this.#ready = health;
    this.line.tell(health, words);
  }

  #beat(heartbeat: Heartbeat): void {
    if (heartbeat.ready && heartbeat.worst_lag_ms !== null) this.#headline.confirm(heartbeat.worst_lag_ms, performance.now());
  }

  /** A page nobody sees holds no stream; it goes on where it was. */
  #pause(hidden: boolean): void {
    for (const stream of this.#streams) {
      if (hidden) stream.stop();
      else stream.start();
    }
    if (hidden && this.#streams.length > 0) this.line.tell("paused", "paused while hidden");
    else if (this.#streams.length > 0 && this.#ready === "live") this.line.tell("connecting", "connecting");
  }

  #apply(found: ReadonlyMap<string, Change>): void {
    const now = performance.now();
    const events: EventReport[] = [];
    for (const [key, change] of found) {
      if (key.startsWith("bars/")) this.#current.put(change.data as Bar);
      else if (key.startsWith("order_flow/")) this.#headline.showFlow(change.data as Flow, now, true);
      else if (key.startsWith("events/")) events.push(change.data as EventReport);
      else if (key.startsWith("volume_profile/")) this.#showProfile(change.data as Profile);
    }
    this.#heardEvents(events);
  }

  #heardEvents(found: readonly EventReport[]): void {
    const { layers, timeframe, range, view } = this.#state;
    const sinceMs = this.#newestMs - rangeMs(range);
    const mine = found.filter(
      ({ at, timeframe: bar }) => isTimeframe(bar) && timeframeMs(bar) >= timeframeMs(timeframe) && Date.parse(at) >= sinceMs,
    );
    if (mine.length === 0 || !layers.includes("events")) return;
    const events = this.#events.put(mine);
    if (view === "chart") this.#chart.setEvents(events);
  }

  #tickAges(): void {
    const age = this.#headline.tick(performance.now());
    this.line.aged(this.#state.view === "feeds" ? null : age);
  }

  #tick(state: ViewState): string {
    const ticks = this.#symbols.filter((one) => one.symbol === state.symbol).map((one) => one.tick_size);
    return ticks.reduce((least, tick) => (Number(tick) < Number(least) ? tick : least), ticks[0] ?? "0.01");
  }

  async #watchFeeds(signal: AbortSignal): Promise<void> {
    try {
      const status = await answer<Status>("status", {}, signal);
      this.#feeds.show(status);
      this.line.market(status.source);
      this.line.tell("live", "asked every 5 s");
    } catch (error) {
      if (signal.aborted) return;
      this.#failed(error);
      this.line.tell("lost", "the server can't be reached; trying again");
    }
    if (!signal.aborted) this.#slow = window.setTimeout(() => void this.#watchFeeds(signal), FEEDS_EVERY_MS);
  }

  #failed(error: unknown): void {
    const words = error instanceof Error ? error.message : "something went wrong";
    this.line.fail(words);
    if (error instanceof ApiError && error.status === 401) this.key.open("The server asks for an API key.");
  }
}
