// What lies over the bars and changes when they close. One that fails takes no other along.

import { ApiError } from "./api.ts";
import type { ChartView } from "./chart_view.ts";
import type { EventList } from "./events.ts";
import type { FootprintView } from "./footprint_view.ts";
import type { Question } from "./question.ts";
import { timeframeMs } from "./ranges.ts";
import type { Layer } from "./view_state.ts";

/** What the server said of the first that failed; empty when all came. */
async function settled(work: readonly Promise<void>[]): Promise<string> {
  for (const end of await Promise.allSettled(work)) {
    if (end.status === "rejected" && end.reason instanceof ApiError) return end.reason.message;
  }
  return "";
}

export function chartLayers(
  question: Question,
  markets: readonly string[],
  sinceMs: number,
  chart: ChartView,
  list: EventList,
): Promise<string> {
  const { layers, timeframe } = question.state;
  const on = (one: Layer): boolean => layers.includes(one);
  const pane = on("delta") ? 2 : 1;
  const work: Promise<void>[] = [];
  const events = async (): Promise<void> => {
    const found = await question.events(sinceMs);
    list.show(found);
    chart.setEvents(found);
  };
  const levels = async (): Promise<void> => chart.setLevels(await question.levels());
  const naked = async (): Promise<void> => chart.setNaked(await question.naked());
  const vwap = async (): Promise<void> => chart.setVwap(await question.vwap(), timeframeMs(timeframe));
  const cvd = async (market: "spot" | "perp"): Promise<void> => chart.setCvd(market, await question.cvd(market), pane);
  const sizes = async (): Promise<void> => chart.setSizes(await question.sizes(), on("cvd") ? pane + 1 : pane);
  if (on("events")) work.push(events());
  // Levels are those of now: they say nothing of a window of the past.
  if (on("levels") && question.live) work.push(levels());
  if (on("naked")) work.push(naked());
  if (on("vwap")) work.push(vwap());
  for (const market of ["spot", "perp"] as const) if (on("cvd") && markets.includes(market)) work.push(cvd(market));
  if (on("sizes")) work.push(sizes());
  return settled(work);
}

export function footprintLayers(question: Question, sinceMs: number, view: FootprintView, list: EventList): Promise<string> {
  const marks = async (): Promise<void> => view.setMarks(...(await Promise.all([question.imbalances(), question.stacks()])));
  const events = async (): Promise<void> => list.show(await question.events(sinceMs));
  return settled(question.state.layers.includes("events") ? [marks(), events()] : [marks()]);
}
