// Exact decimals: what a lot count is worth must have the digits of the answers.

export interface Decimal {
  readonly units: bigint;
  readonly places: number;
}

const FORM = /^-?\d+(\.\d+)?$/;

export function decimal(text: string): Decimal {
  if (!FORM.test(text)) throw new RangeError(`not a decimal: ${text}`);
  const [whole = "0", fraction = ""] = text.split(".");
  return { units: BigInt(whole + fraction), places: fraction.length };
}

export function times(value: Decimal, count: number): Decimal {
  return { units: value.units * BigInt(count), places: value.places };
}

function lifted(value: Decimal, places: number): bigint {
  return value.units * 10n ** BigInt(places - value.places);
}

export function plus(first: Decimal, second: Decimal): Decimal {
  const places = Math.max(first.places, second.places);
  return { units: lifted(first, places) + lifted(second, places), places };
}

export function text(value: Decimal): string {
  const sign = value.units < 0n ? "-" : "";
  const digits = (value.units < 0n ? -value.units : value.units).toString();
  const padded = digits.padStart(value.places + 1, "0");
  const cut = padded.length - value.places;
  return sign + padded.slice(0, cut) + (value.places > 0 ? `.${padded.slice(cut)}` : "");
}

export function placesOf(step: string): number {
  return decimal(step).places;
}
