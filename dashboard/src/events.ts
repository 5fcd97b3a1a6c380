// Events as a list and as the evidence of one of them.

import type { EventReport } from "./answers.ts";
import { element } from "./element.ts";
import { momentWords } from "./inspector.ts";

const MOST_LISTED = 60;
const MOST_KEPT = 200;

/** A short name that fits beside a marker. */
export function kindMark(kind: string): string {
  return kind
    .split("_")
    .map((word) => word.charAt(0).toUpperCase())
    .join("");
}

export function kindWords(kind: string): string {
  return kind.replaceAll("_", " ");
}

/** Any JSON as nested lists: evidence differs by kind. */
function told(value: unknown): Node | string {
  if (value === null || value === undefined) return "–";
  if (Array.isArray(value)) {
    return element("ul", {}, ...value.map((one) => element("li", {}, told(one))));
  }
  if (typeof value === "object") {
    const rows = Object.entries(value).map(([name, inner]) =>
      element("div", {}, element("dt", { text: name.replaceAll("_", " ") }), element("dd", { "data-evidence": name }, told(inner))),
    );
    return element("dl", { class: "numbers" }, ...rows);
  }
  return String(value);
}

export class EventList {
  readonly root: HTMLElement;
  readonly #list = element("ol", { class: "events", "aria-label": "Events, newest first" });
  readonly #detail = element("div", { class: "evidence", "aria-live": "polite" });
  readonly #chosen: (event: EventReport) => void;
  #events: readonly EventReport[] = [];

  constructor(chosen: (event: EventReport) => void) {
    this.#chosen = chosen;
    this.root = element(
      "section",
      { class: "card", "aria-label": "Events" },
      element("h2", { text: "Events" }),
      this.#list,
      this.#detail,
    );
  }

  /** New events, and what was learnt of those that are known. */
  put(events: readonly EventReport[]): readonly EventReport[] {
    const found = new Map([...this.#events, ...events].map((one) => [one.id, one]));
    const sorted = [...found.values()].sort((first, second) => Date.parse(second.at) - Date.parse(first.at));
    this.show(sorted.slice(0, MOST_KEPT));
    return this.#events;
  }

  show(events: readonly EventReport[]): void {
    this.#events = events;
    const items = events.slice(0, MOST_LISTED).map((event) => {
      const side = event.side === null ? "" : event.side === "buy" ? "▲ buy " : "▼ sell ";
      const words = `${momentWords(event.at)} ${side}${kindWords(event.kind)} ${event.timeframe}`;
      const button = element("button", { type: "button", "data-event": event.id, text: words });
      if (event.side !== null) button.classList.add(event.side);
      button.addEventListener("click", () => this.open(event.id));
      return element("li", {}, button);
    });
    if (items.length === 0) items.push(element("li", { text: "none in this range" }));
    this.#list.replaceChildren(...items);
  }

  open(id: string): void {
    const event = this.#events.find((one) => one.id === id);
    if (event === undefined) return;
    for (const button of this.#list.querySelectorAll("button")) {
      button.setAttribute("aria-pressed", String(button.dataset["event"] === id));
    }
    const outcomes = event.outcomes?.map((one) => `${one.minutes} min: ${one.change_pct ?? "not known"}`);
    this.#detail.dataset["open"] = id;
    this.#detail.replaceChildren(
      element("h3", { text: `${kindWords(event.kind)} ${event.side ?? ""}` }),
      element("p", { text: `${event.instrument} ${event.timeframe} ${momentWords(event.period_start)} UTC at ${event.price ?? "–"}` }),
      element("p", { text: `${event.status}, revision ${event.revision}, bar ${event.state}, rule ${event.rule}` }),
      element("h4", { text: "Evidence" }),
      element("div", {}, told(event.evidence)),
      element("h4", { text: "Return afterwards, percent" }),
      element("div", {}, told(outcomes ?? [])),
      element("h4", { text: "Bars behind it" }),
      element("div", {}, told(event.bars.map((bar) => `${bar.timeframe} ${momentWords(bar.start)} revision ${bar.revision} ${bar.content_hash.slice(0, 12)}…`))),
    );
    this.#chosen(event);
  }
}
