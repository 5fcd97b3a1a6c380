/** What wAIckoff reads of a WADM answer; the whole of it is in /openapi.json. */

export interface Gap {
  start: string;
  end: string;
}

export interface Quality {
  final: boolean;
  revision: number;
  age_ms: number;
  stale: boolean;
  next_update_at: string | null;
  next_update_in_ms: number | null;
  completeness: { state: string; coverage: number; delta_proven: boolean; gaps: Gap[] };
}

export interface VolumeLevel {
  price: number;
  volume: number;
  buy_volume: number;
  sell_volume: number;
  delta: number;
  trades: number;
  percentage: number;
}

export interface VolumeProfile {
  symbol: string;
  exchange: string;
  timeframe: string;
  timestamp: string;
  period_start: string;
  period_end: string;
  poc: number | null;
  vah: number | null;
  val: number | null;
  total_volume: number;
  value_area_volume: number;
  levels?: VolumeLevel[];
  levels_truncated: boolean;
  quality: Quality;
}

export interface FlowBar {
  start: string;
  delta: number;
  min_delta: number | null;
  max_delta: number | null;
  volume: number;
  close: number | null;
}

export interface OrderFlow {
  symbol: string;
  exchange: string;
  period: string;
  timestamp: string;
  delta: number;
  cumulative_delta: number | null;
  buy_volume: number;
  sell_volume: number;
  total_volume: number;
  imbalance_ratio: number | null;
  buy_ratio: number | null;
  imbalance: number | null;
  bars?: FlowBar[];
  quality: Quality;
}

/** A file of storage/market-data/wadm: wAIckoff's entry keys, what the server said, and proof. */
export interface CacheEntry<T> {
  key: string;
  timestamp: number;
  ttl: number;
  hits: number;
  lastAccessed: number;
  etag: string | null;
  expires_at: string;
  stale: boolean;
  age_ms: number | null;
  version: number;
  source: string;
  checksum: string;
  value: T;
}

export type Origin = "cache" | "server" | "unchanged" | "old";

/** `stale` is true whenever the server could not be asked; `ageMs` null means unknown. */
export interface Answer<T> {
  value: T;
  origin: Origin;
  stale: boolean;
  ageMs: number | null;
}

export interface Problem {
  error: string;
  message: string;
  code: string;
  retry_after?: number;
  request_id?: string;
}

export class WadmError extends Error {
  constructor(
    readonly code: string,
    message: string,
    readonly status: number | null = null,
    readonly retryAfterMs: number | null = null,
  ) {
    super(`${code}: ${message}`);
    this.name = "WadmError";
  }

  /** Whether an older answer, marked, is better than none. */
  get passing(): boolean {
    return this.status === null || this.status === 429 || this.status >= 500;
  }
}
