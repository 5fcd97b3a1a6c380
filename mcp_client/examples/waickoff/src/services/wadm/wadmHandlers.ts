/** Handlers as wAIckoff has them: only a symbol is needed, and every result has a text part. */
import { WadmClient } from "./wadmClient.js";
import { WadmError } from "./wadmTypes.js";
import type { Answer, OrderFlow, VolumeProfile } from "./wadmTypes.js";

export interface ToolResult {
  content: { type: "text"; text: string }[];
  isError?: boolean;
}

export interface Enrichment {
  volumeProfile: Answer<VolumeProfile>;
  orderFlow: Answer<OrderFlow>;
  interpretation: { place: "above_value" | "inside_value" | "below_value" | null; usable: boolean };
}

export async function handleGetVolumeProfile(
  client: WadmClient, args: { symbol: string; timeframe?: string },
): Promise<ToolResult> {
  return told(() => client.getVolumeProfile(args.symbol, args.timeframe));
}

export async function handleGetOrderFlow(
  client: WadmClient, args: { symbol: string; period?: string },
): Promise<ToolResult> {
  return told(() => client.getOrderFlow(args.symbol, args.period));
}

/** The analysis with both answers beside it: `{...analysis, volumeProfile, orderFlow, interpretation}`. */
export async function enrichAnalysis<A extends object>(
  client: WadmClient, analysis: A, symbol: string, price: number | null,
): Promise<A & Enrichment> {
  const [volumeProfile, orderFlow] = await Promise.all([
    client.getVolumeProfile(symbol), client.getOrderFlow(symbol),
  ]);
  const { vah, val } = volumeProfile.value;
  const known = price !== null && vah !== null && val !== null;
  const place = !known ? null : price > vah ? "above_value" : price < val ? "below_value" : "inside_value";
  const usable = !volumeProfile.stale && !orderFlow.stale;
  return { ...analysis, volumeProfile, orderFlow, interpretation: { place, usable } };
}

async function told(work: () => Promise<unknown>): Promise<ToolResult> {
  try {
    return { content: [{ type: "text", text: JSON.stringify(await work(), null, 2) }] };
  } catch (error) {
    if (!(error instanceof WadmError)) throw error;
    return { content: [{ type: "text", text: error.message }], isError: true };
  }
}
