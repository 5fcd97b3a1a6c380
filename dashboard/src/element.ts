// Elements without markup from text: nothing that came over the wire is ever parsed as HTML.

type Child = Node | string;
type Options = { class?: string; text?: string; on?: Record<string, (event: Event) => void> } & {
  [attribute: `aria-${string}` | `data-${string}`]: string;
} & Partial<
    Record<
      | "id"
      | "role"
      | "type"
      | "name"
      | "for"
      | "href"
      | "value"
      | "title"
      | "tabindex"
      | "scope"
      | "autocomplete"
      | "placeholder"
      | "step"
      | "colspan"
      | "datetime"
      | "spellcheck",
      string
    >
  >;

export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  options: Options = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(options)) {
    if (name === "on") {
      for (const [event, act] of Object.entries(value as Record<string, (event: Event) => void>)) {
        made.addEventListener(event, act);
      }
    } else if (name === "text") made.textContent = value as string;
    else if (name === "class") made.className = value as string;
    else made.setAttribute(name, value as string);
  }
  made.append(...children);
  return made;
}

/** Changes text only where it differs: a screen that stands still costs nothing. */
export function say(place: HTMLElement, words: string): void {
  if (place.textContent !== words) place.textContent = words;
}
