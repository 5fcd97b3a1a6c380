// Keys of the page; none of them while something is typed.

import { element } from "./element.ts";

export type Keys = ReadonlyMap<string, readonly [string, () => void]>;

const TYPING = new Set(["INPUT", "SELECT", "TEXTAREA"]);
const NAMES: Record<string, string> = { ArrowLeft: "←", ArrowRight: "→" };

export class Keyboard {
  readonly root = element("dialog", { class: "keys", "aria-label": "Keys" });

  constructor(keys: Keys) {
    const rows = [...keys].map(([key, [words]]) =>
      element("div", {}, element("dt", {}, element("kbd", { text: NAMES[key] ?? key })), element("dd", { text: words })),
    );
    const close = element("button", { type: "button", text: "Close", on: { click: () => this.root.close() } });
    this.root.append(element("h2", { text: "Keys" }), element("dl", { class: "numbers" }, ...rows), close);
    document.addEventListener("keydown", (event) => {
      const place = event.target;
      const typing = place instanceof HTMLElement && TYPING.has(place.tagName) && place.getAttribute("type") !== "checkbox";
      if (typing || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
      const found = keys.get(event.key);
      if (found === undefined) return;
      event.preventDefault();
      found[1]();
    });
  }

  open(): void {
    this.root.showModal();
  }
}
