// Streams and connections as /status tells them: lag, gaps, repairs.

import type { FeedLine, Status, StreamLine } from "./answers.ts";
import { ageWords } from "./age.ts";
import { element } from "./element.ts";

type Column<T> = readonly [string, (line: T) => string];
const lag = (ms: number | null): string => (ms === null ? "–" : ageWords(ms));

const STREAMS: readonly Column<StreamLine>[] = [
  ["stream", (line) => line.instrument],
  ["state", (line) => line.state],
  ["lag", (line) => lag(line.lag_ms)],
  ["received", (line) => String(line.received)],
  ["applied", (line) => String(line.applied)],
  ["duplicates", (line) => String(line.duplicates)],
  ["gaps open", (line) => String(line.gaps_open)],
  ["repaired", (line) => String(line.gaps_filled)],
  ["lost", (line) => String(line.gaps_lost)],
  ["reconnects", (line) => String(line.reconnects)],
  ["minutes verified", (line) => String(line.minutes_verified)],
  ["not verified", (line) => String(line.minutes_unverified)],
  ["quarantined", (line) => String(line.quarantined)],
  ["queue", (line) => String(line.queue_size)],
];
const FEEDS: readonly Column<FeedLine>[] = [
  ["connection", (line) => line.connection],
  ["state", (line) => line.state],
  ["instruments", (line) => String(line.instruments)],
  ["connects", (line) => String(line.connects)],
  ["frames", (line) => String(line.frames)],
  ["trades", (line) => String(line.trades)],
  ["malformed", (line) => String(line.malformed)],
  ["last frame", (line) => lag(line.last_frame_age_ms)],
  ["error", (line) => line.error ?? "–"],
];

export class Feeds {
  readonly root = element("section", { class: "feeds", "aria-label": "Feeds" });

  show(status: Status): void {
    const ready = status.ready ? "ready" : "starting";
    this.root.replaceChildren(
      element("h2", { text: `Feeds: ${ready}, worst lag ${lag(status.worst_lag_ms)}, ${status.source}, version ${status.version}` }),
      table("Streams", STREAMS, status.streams, (line) => line.gaps_open > 0 || line.state !== "live"),
      table("Connections", FEEDS, status.feeds, (line) => line.error !== null),
    );
  }

  fail(words: string): void {
    this.root.replaceChildren(element("p", { class: "problem", role: "alert", text: words }));
  }
}

function table<T>(
  name: string,
  columns: readonly Column<T>[],
  lines: readonly T[],
  troubled: (line: T) => boolean,
): HTMLElement {
  const head = element("tr", {}, ...columns.map(([words]) => element("th", { scope: "col", text: words })));
  const rows = lines.map((line) => {
    const cells = columns.map(([words, read], index) => {
      const told = read(line);
      const mark = index === 0 && troubled(line) ? "⚠ " : "";
      return index === 0
        ? element("th", { scope: "row", text: mark + told })
        : element("td", { "data-column": words, text: told });
    });
    return element("tr", { class: troubled(line) ? "troubled" : "" }, ...cells);
  });
  if (rows.length === 0) rows.push(element("tr", {}, element("td", { colspan: String(columns.length), text: "none" })));
  return element(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": name },
    element("table", { "data-table": name.toLowerCase() }, element("caption", { text: name }), element("thead", {}, head), element("tbody", {}, ...rows)),
  );
}
