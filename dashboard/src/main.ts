import { App } from "./app.ts";
import { element } from "./element.ts";
import { type Keys, Keyboard } from "./keyboard.ts";
import { applyTheme, nextTheme, theme } from "./theme.ts";
import { VIEWS } from "./view_state.ts";

function place(id: string): HTMLElement {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`the page has no #${id}`);
  return found;
}

applyTheme(theme());
const app = new App(place("main"));
const colours = element("button", { type: "button", id: "theme", text: `Theme: ${theme()}` });
function recolour(): void {
  colours.textContent = `Theme: ${nextTheme()}`;
  app.recolour();
}
colours.addEventListener("click", recolour);
const keys: Keys = new Map<string, readonly [string, () => void]>([
  ...VIEWS.map((view, index) => [String(index + 1), [view, () => app.go({ view })]] as const),
  ["ArrowLeft", ["the bar before", () => app.step(-1)]],
  ["ArrowRight", ["the next bar", () => app.step(1)]],
  ["s", ["choose a symbol", () => app.pickers.focusSymbol()]],
  ["k", ["enter a key", () => app.key.open()]],
  ["t", ["light, dark or as the system", recolour]],
  ["n", ["back to now", () => app.go({ until: "" })]],
  ["?", ["this list", () => board.open()]],
]);
const board = new Keyboard(keys);
place("top").append(
  element("h1", { text: "WADM" }),
  app.pickers.tabs,
  app.line.source,
  app.line.root,
  app.line.age,
  element("div", { class: "tools" }, colours, element("button", { type: "button", id: "use-key", text: "Key", on: { click: () => app.key.open() } })),
);
document.body.append(app.key.root, board.root);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => app.recolour());
void app.start();
