// The bars on show, by start, in time order; what nobody collected stays a hole.

import type { Bar } from "./answers.ts";

export class Bars {
  readonly timeframeMs: number;
  readonly startMs: number;
  endMs: number;
  readonly #most: number;
  readonly #found = new Map<number, Bar>();

  constructor(timeframeMs: number, count: number, newestStartMs: number, bars: readonly Bar[]) {
    this.timeframeMs = timeframeMs;
    this.#most = count;
    this.endMs = newestStartMs + timeframeMs;
    this.startMs = this.endMs - count * timeframeMs;
    for (const bar of bars) this.#found.set(Date.parse(bar.period_start), bar);
  }

  /** Where it goes: appended at the end, in place of another, or too old to be shown. */
  put(bar: Bar): "newest" | "inside" | "outside" {
    const at = Date.parse(bar.period_start);
    if (at < this.endMs - this.#most * this.timeframeMs) return "outside";
    this.#found.set(at, bar);
    if (at >= this.endMs) {
      this.endMs = at + this.timeframeMs;
      return "newest";
    }
    return at + this.timeframeMs === this.endMs ? "newest" : "inside";
  }

  at(startMs: number): Bar | undefined {
    return this.#found.get(startMs);
  }

  /** Every start of the range, with its bar where there is one. */
  *slots(): Generator<[number, Bar | undefined]> {
    const first = Math.max(this.startMs, this.endMs - this.#most * this.timeframeMs);
    for (let at = first; at < this.endMs; at += this.timeframeMs) yield [at, this.#found.get(at)];
  }

  newest(): Bar | undefined {
    let best: number | undefined;
    for (const at of this.#found.keys()) if (best === undefined || at > best) best = at;
    return best === undefined ? undefined : this.#found.get(best);
  }

  /** The neighbour of a bar, `step` bars away, that exists. */
  beside(startMs: number, step: 1 | -1): Bar | undefined {
    for (let at = startMs + step * this.timeframeMs; at >= this.startMs && at < this.endMs; at += step * this.timeframeMs) {
      const bar = this.#found.get(at);
      if (bar !== undefined) return bar;
    }
    return undefined;
  }
}
