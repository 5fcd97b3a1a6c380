// Light, dark or the system's choice; colours are declared in the style sheet once and read here.

export type Theme = "auto" | "light" | "dark";
const PLACE = "wadm-theme";
const NEXT: Record<Theme, Theme> = { auto: "light", light: "dark", dark: "auto" };

export interface Palette {
  readonly ink: string;
  readonly faint: string;
  readonly line: string;
  readonly panel: string;
  readonly buy: string;
  readonly sell: string;
  readonly buySoft: string;
  readonly sellSoft: string;
  readonly mark: string;
  readonly strong: string;
}

export function theme(): Theme {
  const kept = localStorage.getItem(PLACE);
  return kept === "light" || kept === "dark" ? kept : "auto";
}

export function applyTheme(chosen: Theme): void {
  if (chosen === "auto") {
    localStorage.removeItem(PLACE);
    delete document.documentElement.dataset["theme"];
  } else {
    localStorage.setItem(PLACE, chosen);
    document.documentElement.dataset["theme"] = chosen;
  }
}

export function nextTheme(): Theme {
  const chosen = NEXT[theme()];
  applyTheme(chosen);
  return chosen;
}

export function palette(): Palette {
  const styles = getComputedStyle(document.documentElement);
  const read = (name: string): string => styles.getPropertyValue(`--${name}`).trim();
  return {
    ink: read("ink"),
    faint: read("faint"),
    line: read("line"),
    panel: read("panel"),
    buy: read("buy"),
    sell: read("sell"),
    buySoft: read("buy-soft"),
    sellSoft: read("sell-soft"),
    mark: read("mark"),
    strong: read("strong"),
  };
}
