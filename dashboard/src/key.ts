// The key lives as long as the browser's tab and goes out in one header, nowhere else.

const PLACE = "wadm-key";
const FORM = /^[\x21-\x7e]{8,200}$/;

export function storedKey(): string | null {
  return sessionStorage.getItem(PLACE);
}

export function isKey(text: string): boolean {
  return FORM.test(text);
}

export function keepKey(text: string): void {
  sessionStorage.setItem(PLACE, text);
}

export function forgetKey(): void {
  sessionStorage.removeItem(PLACE);
}

export function keyHeaders(): Record<string, string> {
  const key = storedKey();
  return key === null ? {} : { "X-API-Key": key };
}
