// What is shown, as it stands in the address behind #: a link shows the same. Never the key.

import { fitted, isRange, isTimeframe, profileFor, type Range, type Timeframe } from "./ranges.ts";

export const VIEWS = ["chart", "footprint", "feeds"] as const;
export type View = (typeof VIEWS)[number];
export const MARKETS = ["perp", "spot", "all"] as const;
export type Market = (typeof MARKETS)[number];
export const LAYERS = ["profile", "events", "levels", "naked", "vwap", "delta", "cvd", "sizes"] as const;
export type Layer = (typeof LAYERS)[number];
const USUAL_LAYERS: readonly Layer[] = ["profile", "events", "naked", "vwap", "delta", "cvd"];

export interface ViewState {
  readonly view: View;
  readonly symbol: string;
  readonly exchange: string;
  readonly market: Market | "";
  readonly range: Range;
  readonly timeframe: Timeframe;
  readonly profile: Timeframe;
  /** Empty: now, live. Else the end of what is shown, ISO-8601. */
  readonly until: string;
  readonly layers: readonly Layer[];
}

export const FIRST: ViewState = {
  view: "chart",
  symbol: "",
  exchange: "aggregated",
  market: "",
  range: "4h",
  timeframe: "5m",
  profile: "4h",
  until: "",
  layers: USUAL_LAYERS,
};

const SYMBOL = /^[A-Za-z0-9_.:/-]{1,64}$/;
const WORD = /^[a-z]{2,16}$/;
const MOMENT = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,3})?)?Z$/;

function member<T extends string>(all: readonly T[], word: string | null): T | undefined {
  return all.find((one) => one === word);
}

function matching(form: RegExp, word: string | null): string | undefined {
  return word !== null && form.test(word) ? word : undefined;
}

/** A state from an address; whatever is not well formed is as if it were absent. */
export function parsed(hash: string): ViewState {
  const asked = new URLSearchParams(hash.replace(/^#/, ""));
  const rangeWord = asked.get("range") ?? "";
  const range = isRange(rangeWord) ? rangeWord : FIRST.range;
  const name = asked.get("timeframe") ?? "";
  const profile = asked.get("profile") ?? "";
  const layers = asked.get("layers");
  return {
    view: member(VIEWS, asked.get("view")) ?? FIRST.view,
    symbol: matching(SYMBOL, asked.get("symbol")) ?? "",
    exchange: matching(WORD, asked.get("exchange")) ?? FIRST.exchange,
    market: member(MARKETS, asked.get("market")) ?? "",
    range,
    timeframe: fitted(range, isTimeframe(name) ? name : FIRST.timeframe),
    profile: isTimeframe(profile) ? profile : profileFor(range),
    until: matching(MOMENT, asked.get("until")) ?? "",
    layers: layers === null ? USUAL_LAYERS : LAYERS.filter((one) => layers.split(".").includes(one)),
  };
}

/** The address of a state, without what is usual. */
export function printed(state: ViewState): string {
  const said = new URLSearchParams();
  if (state.view !== FIRST.view) said.set("view", state.view);
  if (state.symbol) said.set("symbol", state.symbol);
  if (state.exchange !== FIRST.exchange) said.set("exchange", state.exchange);
  if (state.market) said.set("market", state.market);
  said.set("range", state.range);
  said.set("timeframe", state.timeframe);
  if (state.profile !== profileFor(state.range)) said.set("profile", state.profile);
  if (state.until) said.set("until", state.until);
  if (state.layers.join() !== USUAL_LAYERS.join()) said.set("layers", state.layers.join("."));
  return `#${said.toString()}`;
}
