// Whether what is on the page is live, and which market it is.

import { element, say } from "./element.ts";
import type { Age } from "./headline.ts";
import type { Health } from "./stream.ts";

const MARKS: Record<Health | "paused" | "fixed", string> = {
  connecting: "…",
  live: "●",
  lost: "✕",
  refused: "✕",
  paused: "‖",
  fixed: "■",
};

export class StatusLine {
  readonly root = element("p", { class: "link", role: "status" });
  readonly age = element("p", { class: "link-age" });
  readonly source = element("p", { class: "source" });
  readonly problem = element("p", { class: "problem", role: "alert" });

  tell(health: Health | "paused" | "fixed", words: string): void {
    this.root.dataset["health"] = health;
    say(this.root, `${MARKS[health]} ${words}`);
  }

  /** How old the numbers on the page are; empty where they are of the past. */
  aged(age: Age | null): void {
    say(this.age, age?.words ?? "");
    this.age.classList.toggle("old", age?.stale === true);
  }

  market(source: string): void {
    say(this.source, source === "simulated" ? "SIMULATED market: no real price" : "");
    this.source.hidden = source !== "simulated";
  }

  fail(words: string): void {
    say(this.problem, words);
    this.problem.hidden = words === "";
  }
}
