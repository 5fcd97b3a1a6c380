/** Cache first, then the REST API, then the last answer marked stale. */
import { ageMs, isFresh, readEntry } from "./wadmCache.js";
import type { Kind } from "./wadmCache.js";
import { WadmError } from "./wadmTypes.js";
import type { Answer, CacheEntry, OrderFlow, Problem, Quality, VolumeProfile } from "./wadmTypes.js";

export interface WadmConfig {
  baseUrl: string;
  apiKey: string;
  cacheTtlMs: number;
  storage: string;
  timeoutMs: number;
}

export const endpoints = {
  volumeProfile: (symbol: string): string => `/volume_profile/${encodeURIComponent(symbol)}`,
  orderFlow: (symbol: string): string => `/order_flow/${encodeURIComponent(symbol)}`,
};

/** From WADM_API_URL, WADM_API_KEY and WADM_CACHE_TTL (seconds). */
export function readConfig(env: NodeJS.ProcessEnv = process.env): WadmConfig {
  const ttlS = Number(env["WADM_CACHE_TTL"] ?? "60");
  if (!Number.isFinite(ttlS) || ttlS < 0) {
    throw new WadmError("CONFIG", "WADM_CACHE_TTL must be a number of seconds");
  }
  return {
    baseUrl: (env["WADM_API_URL"] ?? "http://127.0.0.1:8080").replace(/\/+$/, ""),
    apiKey: env["WADM_API_KEY"] ?? "",
    cacheTtlMs: ttlS * 1000,
    storage: env["WADM_STORAGE"] ?? "storage",
    timeoutMs: 10_000,
  };
}

interface Kept<T> {
  value: T;
  etag: string | null;
  ageMs: number | null;
  atMs: number;
}

export class WadmClient {
  private readonly kept = new Map<string, Kept<{ quality: Quality }>>();
  private closedUntilMs = 0;

  constructor(private readonly config: WadmConfig = readConfig()) {}

  getVolumeProfile(symbol: string, timeframe = "1h"): Promise<Answer<VolumeProfile>> {
    const target = `${endpoints.volumeProfile(symbol)}?timeframe=${encodeURIComponent(timeframe)}`;
    return this.get<VolumeProfile>("volume_profile", symbol, timeframe, target);
  }

  getOrderFlow(symbol: string, period = "5m"): Promise<Answer<OrderFlow>> {
    const target = `${endpoints.orderFlow(symbol)}?period=${encodeURIComponent(period)}`;
    return this.get<OrderFlow>("order_flow", symbol, period, target);
  }

  private async get<T extends { quality: Quality }>(
    kind: Kind, symbol: string, step: string, target: string,
  ): Promise<Answer<T>> {
    const entry = await readEntry<T>(this.config.storage, kind, symbol, step);
    const ours = entry !== null && entry.source === this.config.baseUrl ? entry : null;
    if (ours !== null && isFresh(ours, Date.now(), this.config.cacheTtlMs)) {
      return given(ours.value, "cache", ageMs(ours, Date.now()), false);
    }
    const known = (this.kept.get(target) as Kept<T> | undefined) ?? fromEntry(ours);
    try {
      return await this.ask<T>(target, known);
    } catch (error) {
      if (!(error instanceof WadmError) || !error.passing || known === null) throw error;
      const passedMs = Date.now() - known.atMs;
      const age = known.ageMs === null || passedMs < 0 ? null : known.ageMs + passedMs;
      return given(known.value, "old", age, true);
    }
  }

  private async ask<T extends { quality: Quality }>(
    target: string, known: Kept<T> | null,
  ): Promise<Answer<T>> {
    if (Date.now() < this.closedUntilMs) throw new WadmError("WAITING", "not before Retry-After");
    const headers: Record<string, string> = { Accept: "application/json" };
    if (this.config.apiKey !== "") headers["X-API-Key"] = this.config.apiKey;
    if (known !== null && known.etag !== null) headers["If-None-Match"] = known.etag;
    const response = await this.fetched(target, headers);
    if (response.status === 304 && known !== null) {
      // The data did not change: only time has passed since it was given.
      const age = known.ageMs === null ? null : known.ageMs + Math.max(0, Date.now() - known.atMs);
      return given(known.value, "unchanged", age, false);
    }
    if (response.status !== 200) throw await this.refused(response);
    const value = await parsed<T>(response);
    const kept = {
      value, etag: response.headers.get("etag"), ageMs: value.quality.age_ms, atMs: Date.now(),
    };
    this.kept.set(target, kept);
    return given(value, "server", kept.ageMs, false);
  }

  private async fetched(target: string, headers: Record<string, string>): Promise<Response> {
    try {
      const signal = AbortSignal.timeout(this.config.timeoutMs);
      return await fetch(this.config.baseUrl + target, { headers, signal, redirect: "error" });
    } catch {
      throw new WadmError("UNREACHABLE", "the server cannot be reached");
    }
  }

  private async refused(response: Response): Promise<WadmError> {
    let problem: Partial<Problem> = {};
    try {
      problem = (await response.json()) as Partial<Problem>;
    } catch {
      // a proxy answers with HTML
    }
    const named = Number(response.headers.get("retry-after") ?? problem.retry_after ?? Number.NaN);
    const waitMs = Number.isFinite(named) ? named * 1000 : null;
    if (waitMs !== null) this.closedUntilMs = Date.now() + waitMs;
    const code = problem.code ?? `HTTP_${response.status}`;
    return new WadmError(code, problem.message ?? "no answer", response.status, waitMs);
  }
}

async function parsed<T extends { quality: Quality }>(response: Response): Promise<T> {
  try {
    const value = (await response.json()) as T;
    if (typeof value.quality.age_ms === "number") return value;
  } catch {
    // told below
  }
  throw new WadmError("BAD_ANSWER", "the answer is cut or not what was asked for");
}

function fromEntry<T>(entry: CacheEntry<T> | null): Kept<T> | null {
  if (entry === null) return null;
  return { value: entry.value, etag: entry.etag, ageMs: entry.age_ms, atMs: entry.timestamp };
}

/** The age and the mark are also inside the value, where analyses see them. */
function given<T extends { quality: Quality }>(
  value: T, origin: Answer<T>["origin"], age: number | null, old: boolean,
): Answer<T> {
  const stale = old || value.quality.stale;
  const quality = { ...value.quality, stale, age_ms: age ?? value.quality.age_ms };
  return { value: { ...value, quality }, origin, stale, ageMs: age };
}
