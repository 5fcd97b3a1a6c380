/** Reads the JSON files that `wadm-client poll` writes; nothing here writes or trusts them. */
import { createHash } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";

import type { CacheEntry, Quality } from "./wadmTypes.js";

const MOST_BYTES = 10 * 1024 * 1024;
const VALUE = '\n  "value": ';
const END = "\n}\n";
const PLAIN = /^[A-Z0-9]{1,32}$/;

export type Kind = "volume_profile" | "order_flow";

export function cacheFile(storage: string, kind: Kind, symbol: string, step: string): string | null {
  if (!PLAIN.test(symbol) || !/^[a-z0-9_]{1,24}$/.test(step)) return null;
  return join(storage, "market-data", "wadm", kind, `${symbol}_${step}.json`);
}

/** The entry, or null where there is none that can be trusted. */
export async function readEntry<T extends { quality: Quality }>(
  storage: string, kind: Kind, symbol: string, step: string,
): Promise<CacheEntry<T> | null> {
  const path = cacheFile(storage, kind, symbol, step);
  if (path === null) return null;
  try {
    if ((await stat(path)).size > MOST_BYTES) return null;
    const text = await readFile(path, "utf8");
    const entry = JSON.parse(text) as CacheEntry<T>;
    const known = entry.version === 1 && entry.key === `${kind}:${symbol}:${step}`;
    return known && entry.checksum === digest(text) ? entry : null;
  } catch {
    return null; // absent, torn or foreign: the server is asked
  }
}

/** Fresh enough that nobody has to be asked. */
export function isFresh(entry: CacheEntry<unknown>, nowMs: number, ttlMs: number): boolean {
  const sinceMs = nowMs - entry.timestamp;
  return !entry.stale && sinceMs >= 0 && sinceMs < ttlMs && nowMs < Date.parse(entry.expires_at);
}

/** Age of the numbers: the server's own at receipt plus what passed here; null where unknown. */
export function ageMs(entry: CacheEntry<unknown>, nowMs: number): number | null {
  const sinceMs = nowMs - entry.timestamp;
  return entry.age_ms === null || sinceMs < 0 ? null : entry.age_ms + sinceMs;
}

/** SHA-256 of the value's bytes as they stand in the file, where `value` is the last key. */
function digest(text: string): string {
  const start = text.indexOf(VALUE) + VALUE.length;
  return createHash("sha256").update(text.slice(start, text.length - END.length)).digest("hex");
}
