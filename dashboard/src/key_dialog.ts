// Where a key is typed in: kept for the life of this tab, shown to nobody.

import { element } from "./element.ts";
import { forgetKey, isKey, keepKey, storedKey } from "./key.ts";

export class KeyDialog {
  readonly root = element("dialog", { class: "key", "aria-label": "API key" });
  readonly #input = element("input", { id: "key", type: "password", autocomplete: "off", spellcheck: "false" });
  readonly #problem = element("p", { class: "problem", role: "alert" });

  constructor(changed: () => void) {
    const form = element(
      "form",
      {},
      element("label", { for: "key", text: "API key" }),
      this.#input,
      element("p", { text: "It stays in this browser tab and is sent in a header; closing the tab forgets it." }),
      this.#problem,
      element("button", { type: "submit", text: "Use it" }),
      button("Forget it", () => {
        forgetKey();
        this.root.close();
        changed();
      }),
      button("Cancel", () => this.root.close()),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const text = this.#input.value.trim();
      if (!isKey(text)) {
        this.#problem.textContent = "That is no key: it begins with wadm_ and has no spaces.";
        return;
      }
      keepKey(text);
      this.root.close();
      changed();
    });
    this.root.append(form);
  }

  open(words = ""): void {
    this.#input.value = "";
    this.#problem.textContent = words;
    this.#input.placeholder = storedKey() === null ? "wadm_…" : "a key is set";
    if (!this.root.open) this.root.showModal();
    this.#input.focus();
  }
}

function button(text: string, act: () => void): HTMLElement {
  return element("button", { type: "button", text, on: { click: act } });
}
