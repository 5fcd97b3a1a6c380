// What is asked: symbol, venue, market, range, bars, profile window, end and layers.

import type { SymbolLine } from "./answers.ts";
import { element } from "./element.ts";
import { RANGE_WORDS, TIMEFRAMES, type Range, type Timeframe, fitted, fitting, profileFor } from "./ranges.ts";
import { LAYERS, MARKETS, type Layer, type Market, type View, VIEWS, type ViewState } from "./view_state.ts";

const LAYER_WORDS: Record<Layer, string> = {
  profile: "profile",
  events: "events",
  levels: "session levels",
  naked: "naked POCs",
  vwap: "VWAP bands",
  delta: "delta",
  cvd: "CVD spot/perp",
  sizes: "size classes",
};
const VIEW_WORDS: Record<View, string> = { chart: "Chart", footprint: "Footprint", feeds: "Feeds" };

type Changed = (change: Partial<ViewState>) => void;

export class Pickers {
  readonly tabs = element("nav", { class: "tabs", "aria-label": "Views" });
  readonly root = element("form", { class: "pickers", "aria-label": "What is shown" });
  readonly layers = element("fieldset", { class: "layers" });
  readonly #symbol = element("select", { id: "symbol" });
  readonly #exchange = element("select", { id: "exchange" });
  readonly #market = element("select", { id: "market" });
  readonly #range = element("select", { id: "range" });
  readonly #timeframe = element("select", { id: "timeframe" });
  readonly #profile = element("select", { id: "profile" });
  readonly #until = element("input", { id: "until", type: "datetime-local", step: "60" });
  #symbols: readonly SymbolLine[] = [];

  constructor(changed: Changed) {
    this.root.addEventListener("submit", (event) => event.preventDefault());
    const listen = (place: HTMLElement, act: () => Partial<ViewState>): void =>
      place.addEventListener("change", () => changed(act()));
    listen(this.#symbol, () => ({ symbol: this.#symbol.value, ...this.#known(this.#symbol.value) }));
    listen(this.#exchange, () => ({ exchange: this.#exchange.value }));
    listen(this.#market, () => ({ market: this.#market.value as Market }));
    listen(this.#range, () => {
      const range = this.#range.value as Range;
      return { range, timeframe: fitted(range, this.#timeframe.value as Timeframe), profile: profileFor(range) };
    });
    listen(this.#timeframe, () => ({ timeframe: this.#timeframe.value as Timeframe }));
    listen(this.#profile, () => ({ profile: this.#profile.value as Timeframe }));
    listen(this.#until, () => ({ until: this.#until.value ? `${this.#until.value.slice(0, 16)}Z` : "" }));
    this.root.append(
      labelled("Symbol", this.#symbol),
      labelled("Venue", this.#exchange),
      labelled("Market", this.#market),
      labelled("Range", this.#range),
      labelled("Bars", this.#timeframe),
      labelled("Profile", this.#profile),
      labelled("Until (UTC)", this.#until),
    );
    this.layers.append(element("legend", { text: "Layers" }));
    for (const layer of LAYERS) {
      const box = element("input", { type: "checkbox", id: `layer-${layer}`, name: "layer", value: layer });
      listen(box, () => ({ layers: this.#checked() }));
      this.layers.append(element("label", { for: `layer-${layer}` }, box, ` ${LAYER_WORDS[layer]}`));
    }
    for (const view of VIEWS) {
      const button = element("button", { type: "button", "data-view": view, text: VIEW_WORDS[view] });
      button.addEventListener("click", () => changed({ view }));
      this.tabs.append(button);
    }
  }

  offer(symbols: readonly SymbolLine[]): void {
    this.#symbols = symbols;
    fill(this.#symbol, [...new Set(symbols.map((one) => one.symbol))].map((name) => [name, name]));
  }

  show(state: ViewState): void {
    const mine = this.#symbols.filter((one) => one.symbol === state.symbol);
    fill(this.#exchange, [["aggregated", "all venues"], ...unique(mine.map((one) => one.exchange))]);
    const markets = new Set(mine.map((one) => one.market));
    const offered = MARKETS.filter((one) => markets.has(one) || (one === "all" && markets.size > 1));
    fill(this.#market, offered.map((one) => [one, one === "all" ? "spot + perp" : one]));
    fill(this.#range, Object.entries(RANGE_WORDS));
    const allowed = fitting(state.range);
    fill(this.#timeframe, allowed.map((one) => [one, one]));
    fill(this.#profile, Object.keys(TIMEFRAMES).map((one) => [one, one]));
    if (state.symbol && !mine.length) this.#symbol.append(element("option", { value: state.symbol, text: state.symbol }));
    this.#symbol.value = state.symbol;
    this.#exchange.value = state.exchange;
    this.#market.value = state.market || (offered[0] ?? "");
    this.#range.value = state.range;
    this.#timeframe.value = state.timeframe;
    this.#profile.value = state.profile;
    this.#until.value = state.until.slice(0, 16);
    for (const box of this.layers.querySelectorAll("input")) box.checked = state.layers.includes(box.value as Layer);
    for (const button of this.tabs.querySelectorAll("button")) {
      if (button.dataset["view"] === state.view) button.setAttribute("aria-current", "page");
      else button.removeAttribute("aria-current");
    }
    this.root.hidden = this.layers.hidden = state.view === "feeds";
    for (const label of this.layers.querySelectorAll("label")) {
      label.hidden = state.view === "footprint" && label.htmlFor !== "layer-events";
    }
  }

  focusSymbol(): void {
    this.#symbol.focus();
  }

  /** Venue and market of before, where the new symbol has them too. */
  #known(symbol: string): Partial<ViewState> {
    const mine = this.#symbols.filter((one) => one.symbol === symbol);
    const markets = mine.map((one) => one.market);
    const keeps = this.#market.value === "all" ? new Set(markets).size > 1 : markets.includes(this.#market.value);
    const venue = mine.some((one) => one.exchange === this.#exchange.value);
    return { ...(keeps ? {} : { market: "" as const }), ...(venue ? {} : { exchange: "aggregated" }) };
  }

  #checked(): Layer[] {
    const on = [...this.layers.querySelectorAll("input")].filter((box) => box.checked).map((box) => box.value);
    return LAYERS.filter((one) => on.includes(one));
  }
}

function unique(names: readonly string[]): [string, string][] {
  return [...new Set(names)].map((name) => [name, name]);
}

function labelled(words: string, place: HTMLElement): HTMLElement {
  return element("div", { class: "picker" }, element("label", { for: place.id, text: words }), place);
}

function fill(place: HTMLSelectElement, options: readonly (readonly [string, string])[]): void {
  place.replaceChildren(...options.map(([value, words]) => element("option", { value, text: words })));
}
