// How old an answer is: its own age when it came, plus our monotonic clock since. The wall clock of
// this machine may be wrong and is never asked.

export interface Aged {
  readonly ageMs: number;
  readonly stale: boolean;
  readonly heardAt: number;
}

export function aged(ageMs: number, stale: boolean, now: number): Aged {
  return { ageMs, stale, heardAt: now };
}

export function ageNow(known: Aged, now: number): number {
  return known.ageMs + Math.max(0, now - known.heardAt);
}

export function ageWords(ms: number): string {
  if (ms < 10_000) return `${(ms / 1_000).toFixed(1)} s`;
  if (ms < 120_000) return `${Math.round(ms / 1_000)} s`;
  if (ms < 7_200_000) return `${Math.round(ms / 60_000)} min`;
  if (ms < 172_800_000) return `${Math.round(ms / 3_600_000)} h`;
  return `${Math.round(ms / 86_400_000)} d`;
}
