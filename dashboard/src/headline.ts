// The numbers people look at first, each with its age and proof.

import type { Flow, Identity, Profile } from "./answers.ts";
import { type Aged, ageNow, ageWords, aged } from "./age.ts";
import { element, say } from "./element.ts";
import { momentWords } from "./inspector.ts";
import { proofOf } from "./proof.ts";

type Field<T> = readonly [keyof T & string, string];
const PROFILE: readonly Field<Profile>[] = [
  ["poc", "POC"],
  ["vah", "VAH"],
  ["val", "VAL"],
  ["total_volume", "volume"],
  ["va_pct", "value area %"],
];
const FLOW: readonly Field<Flow>[] = [
  ["close", "last"],
  ["delta", "delta"],
  ["cumulative_delta", "CVD"],
  ["buy_volume", "buy"],
  ["sell_volume", "sell"],
];

export interface Age {
  readonly words: string;
  readonly stale: boolean;
}

class Figures<T extends Identity> {
  readonly root: HTMLElement;
  readonly #title = element("h2");
  readonly #age = element("span", { class: "age" });
  readonly #proof = element("span", { class: "proof" });
  readonly #cells = new Map<string, HTMLElement>();
  readonly #fields: readonly Field<T>[];
  #aged: Aged | null = null;

  constructor(name: string, fields: readonly Field<T>[]) {
    this.#fields = fields;
    const list = element("dl", { class: "figures" });
    for (const [field, words] of fields) {
      const cell = element("dd", { "data-field": field, text: "–" });
      this.#cells.set(field, cell);
      list.append(element("div", {}, element("dt", { text: words }), cell));
    }
    const line = element("p", { class: "aging" }, this.#proof, " ", this.#age);
    this.root = element("section", { class: "card", "data-answer": name }, this.#title, list, line);
  }

  /** `live`: it is about now and grows old; else it is about a window that is over. */
  show(answer: T, title: string, now: number, live: boolean): void {
    say(this.#title, title);
    this.root.dataset["hash"] = answer.timestamp;
    for (const [field] of this.#fields) {
      const cell = this.#cells.get(field);
      const value = answer[field] as string | null;
      if (cell !== undefined) say(cell, value ?? "–");
    }
    const quality = answer.quality;
    const state = quality.state ?? quality.completeness?.state;
    say(this.#proof, `${proofOf(state)} (${state ?? "unknown"})`);
    this.#aged = live ? aged(quality.age_ms, quality.stale, now) : null;
    if (!live) {
      say(this.#age, `${momentWords(answer.period_start)} to ${momentWords(answer.period_end)} UTC`);
      this.root.classList.remove("stale");
    }
  }

  /** The server said that it is up to date, so what stands here has not changed since. */
  confirm(lagMs: number, now: number): void {
    if (this.#aged !== null && ageNow(this.#aged, now) > lagMs) this.#aged = aged(lagMs, this.#aged.stale, now);
  }

  /** What is said of its age; null where it does not age. */
  tick(now: number, staleAfterMs: number): Age | null {
    if (this.#aged === null) return null;
    const age = ageNow(this.#aged, now);
    const stale = this.#aged.stale || age > staleAfterMs;
    const words = stale ? `⚠ stale: ${ageWords(age)} old` : `${ageWords(age)} old`;
    say(this.#age, words);
    this.root.classList.toggle("stale", stale);
    return { words, stale };
  }

  clear(words: string): void {
    this.#aged = null;
    for (const cell of this.#cells.values()) say(cell, "–");
    say(this.#proof, words);
    say(this.#age, "");
    this.root.classList.remove("stale");
  }
}

/** Order flow is told every 5 s, profiles at the latest every minute: twice that is stale. */
const FLOW_STALE_MS = 10_000;
const PROFILE_STALE_MS = 120_000;

export class Headline {
  readonly root: HTMLElement;
  readonly profile = new Figures<Profile>("volume_profile", PROFILE);
  readonly flow = new Figures<Flow>("order_flow", FLOW);

  constructor() {
    this.root = element("div", { class: "headline" }, this.flow.root, this.profile.root);
  }

  showProfile(answer: Profile, now: number, live: boolean): void {
    const shape = answer.reading?.shape;
    this.profile.show(answer, `Profile ${answer.window} ${answer.timeframe}${shape ? `, shape ${shape}` : ""}`, now, live);
  }

  showFlow(answer: Flow, now: number, live: boolean): void {
    this.flow.show(answer, `Order flow ${answer.period}`, now, live);
  }

  confirm(lagMs: number, now: number): void {
    this.flow.confirm(lagMs, now);
    this.profile.confirm(lagMs, now);
  }

  /** The worse of both ages: stale, or else that of order flow, which is told more often. */
  tick(now: number): Age | null {
    const flow = this.flow.tick(now, FLOW_STALE_MS);
    const profile = this.profile.tick(now, PROFILE_STALE_MS);
    return profile?.stale === true && flow?.stale !== true ? profile : flow;
  }
}
