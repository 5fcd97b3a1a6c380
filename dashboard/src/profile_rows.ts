// Rows of a profile from either form of the answer, exact to the digit.

import type { Level, Profile } from "./answers.ts";
import { decimal, plus, text, times } from "./decimal.ts";

export interface ProfileRow {
  readonly price: string;
  readonly volume: string;
  readonly buy: string;
  readonly sell: string;
  readonly node: "HVN" | "LVN" | null;
}

function fromLevel(level: Level): ProfileRow {
  return { price: level.price, volume: level.volume, buy: level.buy_volume, sell: level.sell_volume, node: level.type };
}

/** `nodes`: what is known of rows that the short form says nothing of. */
export function profileRows(profile: Profile, nodes: ReadonlyMap<string, "HVN" | "LVN">): ProfileRow[] {
  if (profile.levels) return profile.levels.map(fromLevel);
  const columns = profile.histogram;
  if (!columns) return [];
  const [low, step, lot] = [decimal(columns.low), decimal(columns.step), decimal(columns.lot_size)];
  return columns.at.map((row, index) => {
    const buys = columns.buy_lots[index] ?? 0;
    const sells = columns.sell_lots[index] ?? 0;
    const price = text(plus(low, times(step, row)));
    return {
      price,
      volume: text(times(lot, buys + sells)),
      buy: text(times(lot, buys)),
      sell: text(times(lot, sells)),
      node: nodes.get(price) ?? null,
    };
  });
}

export function nodesOf(profile: Profile): Map<string, "HVN" | "LVN"> {
  const found = new Map<string, "HVN" | "LVN">();
  for (const level of profile.levels ?? []) if (level.type !== null) found.set(level.price, level.type);
  return found;
}
