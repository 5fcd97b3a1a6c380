// What the pickers offer: how far back, and bars that fit it.

const MINUTE = 60_000;
const DAY = 1_440 * MINUTE;

export const TIMEFRAMES = { "1m": 1, "5m": 5, "15m": 15, "30m": 30, "1h": 60, "4h": 240, "1d": 1_440 } as const;
export type Timeframe = keyof typeof TIMEFRAMES;

const RANGES_MS = {
  "15m": 15 * MINUTE,
  "1h": 60 * MINUTE,
  "4h": 240 * MINUTE,
  "12h": 720 * MINUTE,
  "1d": DAY,
  "3d": 3 * DAY,
  "1w": 7 * DAY,
  "1M": 30 * DAY,
  "3M": 90 * DAY,
  "1y": 365 * DAY,
} as const;
export type Range = keyof typeof RANGES_MS;

export const RANGE_WORDS: Record<Range, string> = {
  "15m": "15 minutes",
  "1h": "1 hour",
  "4h": "4 hours",
  "12h": "12 hours",
  "1d": "1 day",
  "3d": "3 days",
  "1w": "1 week",
  "1M": "30 days",
  "3M": "90 days",
  "1y": "1 year",
};

const LEAST_BARS = 3;
const MOST_BARS = 1_000;

export function isTimeframe(word: string): word is Timeframe {
  return Object.hasOwn(TIMEFRAMES, word);
}

export function isRange(word: string): word is Range {
  return Object.hasOwn(RANGES_MS, word);
}

export function timeframeMs(name: Timeframe): number {
  return TIMEFRAMES[name] * MINUTE;
}

export function rangeMs(name: Range): number {
  return RANGES_MS[name];
}

export function barCount(range: Range, timeframe: Timeframe): number {
  return Math.ceil(RANGES_MS[range] / timeframeMs(timeframe));
}

/** Timeframes that give neither a handful of bars nor more than one answer holds. */
export function fitting(range: Range): Timeframe[] {
  return (Object.keys(TIMEFRAMES) as Timeframe[]).filter((name) => {
    const count = barCount(range, name);
    return count >= LEAST_BARS && count <= MOST_BARS;
  });
}

/** The asked timeframe, or the nearest one that fits the range. */
export function fitted(range: Range, asked: Timeframe): Timeframe {
  const allowed = fitting(range);
  if (allowed.includes(asked)) return asked;
  const wish = TIMEFRAMES[asked];
  return allowed.reduce((best, name) =>
    Math.abs(Math.log(TIMEFRAMES[name] / wish)) < Math.abs(Math.log(TIMEFRAMES[best] / wish)) ? name : best,
  );
}

/** The window whose profile suits the range: the longest the server keeps is a day. */
export function profileFor(range: Range): Timeframe {
  const names = Object.keys(TIMEFRAMES) as Timeframe[];
  return names.find((name) => timeframeMs(name) >= RANGES_MS[range]) ?? "1d";
}
