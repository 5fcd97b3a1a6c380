// What REST answers with numbers=string; only what the page shows.

export type Num = string;

export interface Bar {
  period_start: string;
  period_end: string;
  open: Num | null;
  high: Num | null;
  low: Num | null;
  close: Num | null;
  total_volume: Num;
  buy_volume: Num;
  sell_volume: Num;
  total_trades: number;
  delta: Num;
  min_delta: Num | null;
  max_delta: Num | null;
  poc: Num | null;
  vah: Num | null;
  val: Num | null;
  row_size: Num;
  rows?: readonly Row[] | null;
  final: boolean;
  revision: number;
  state: string;
  coverage: Num;
  content_hash: string;
}

/** Price, buy volume, sell volume, trades. */
export type Row = readonly [Num, Num, Num, number];

export interface Footprint {
  symbol: string;
  exchange: string;
  market: string;
  source: string;
  timeframe: string;
  bars: Bar[];
}

export interface Level {
  price: Num;
  volume: Num;
  buy_volume: Num;
  sell_volume: Num;
  delta: Num;
  trades: number;
  percentage: Num;
  type: "HVN" | "LVN" | null;
}

export interface Histogram {
  low: Num;
  step: Num;
  lot_size: Num;
  at: number[];
  buy_lots: number[];
  sell_lots: number[];
}

/** The parts that the long and the short form share. */
export interface Quality {
  final: boolean;
  revision: number;
  age_ms: number;
  stale: boolean;
  state?: string;
  coverage?: Num;
  completeness?: { state: string; coverage: Num };
}

export interface Identity {
  symbol: string;
  exchange: string;
  market: string;
  source: string;
  period_start: string;
  period_end: string;
  timestamp: string;
  quality: Quality;
}

export interface Profile extends Identity {
  timeframe: string;
  window: string;
  poc: Num | null;
  vah: Num | null;
  val: Num | null;
  poc_high: Num | null;
  vah_high: Num | null;
  close: Num | null;
  total_volume: Num;
  va_pct: Num | null;
  row_size: Num;
  levels?: Level[] | null;
  histogram?: Histogram | null;
  facts?: { vwap: Num | null; place: string | null } | null;
  reading?: { shape: string | null } | null;
}

export interface Flow extends Identity {
  period: string;
  delta: Num;
  delta_pct: Num | null;
  cumulative_delta: Num | null;
  cumulative_delta_anchor: string | null;
  buy_volume: Num;
  sell_volume: Num;
  total_volume: Num;
  buy_ratio: Num | null;
  close: Num | null;
}

export interface EventReport {
  id: string;
  kind: string;
  rule: string;
  instrument: string;
  timeframe: string;
  period_start: string;
  period_end: string;
  at: string;
  side: "buy" | "sell" | null;
  price: Num | null;
  close: Num | null;
  evidence: Record<string, unknown>;
  bars: { timeframe: string; start: string; revision: number; content_hash: string }[];
  state: string;
  complete: boolean;
  status: string;
  revision: number;
  published_at: string;
  outcomes: { minutes: number; close: Num | null; change_pct: Num | null }[] | null;
}

export interface Study<Item> {
  name: string;
  algo: string;
  timeframe: string;
  facts: Record<string, unknown>;
  items: Item[];
  reason: string | null;
}

export interface CvdItem {
  period_start: string;
  close: Num | null;
  anchor: string;
}

export interface SizeItem {
  period_start: string;
  mid_from: Num;
  large_from: Num;
  small_cvd: Num;
  mid_cvd: Num;
  large_cvd: Num;
}

export interface VwapItem {
  at: string;
  vwap: Num | null;
  lower_1: Num | null;
  upper_1: Num | null;
  lower_2: Num | null;
  upper_2: Num | null;
}

export interface ImbalanceItem {
  period_start: string;
  price: Num;
  side: "buy" | "sell";
}

export interface StackItem {
  period_start: string;
  side: "buy" | "sell";
  price: Num;
  price_high: Num;
  rows: number;
}

/** A level of a closed session; untested: price has not come back to it. */
export interface NakedItem {
  kind: string;
  price: Num;
  session_start: string;
  status: "untested" | "touched";
}

export interface KeyLevels {
  price: Num | null;
  levels: { name: string; price: Num; side: string; since: string | null }[];
  missing: { name: string; reason: string }[];
}

export interface SymbolLine {
  symbol: string;
  instrument: string;
  exchange: string;
  market: string;
  tick_size: Num;
  lot_size: Num;
}

export interface Symbols {
  source: string;
  symbols: SymbolLine[];
}

export interface StreamLine {
  instrument: string;
  state: string;
  status: string;
  last_event: string | null;
  lag_ms: number | null;
  received: number;
  applied: number;
  duplicates: number;
  quarantined: number;
  gaps_open: number;
  gaps_filled: number;
  gaps_lost: number;
  reconnects: number;
  minutes_verified: number;
  minutes_unverified: number;
  latency_ms: number | null;
  queue_size: number;
}

export interface FeedLine {
  connection: string;
  state: string;
  instruments: number;
  connects: number;
  frames: number;
  trades: number;
  malformed: number;
  last_frame_age_ms: number | null;
  error: string | null;
}

export interface Status {
  source: string;
  ready: boolean;
  version: string;
  worst_lag_ms: number | null;
  streams: StreamLine[];
  feeds: FeedLine[];
}
