// Classes of completeness as the strip shows them: four patterns, not four colours.

export type Proof = "verified" | "complete" | "partial" | "missing";
export const PROOFS: readonly Proof[] = ["verified", "complete", "partial", "missing"];

const CLASSES: Record<string, Proof> = {
  verified: "verified",
  venue_adjustment: "verified",
  verified_volume: "verified",
  contiguous: "complete",
  repairing: "partial",
  partial: "partial",
  approximate: "partial",
  unknown: "missing",
};

export const PROOF_WORDS: Record<Proof, string> = {
  verified: "verified against the venue's own candle",
  complete: "no trade missing, candle not compared yet",
  partial: "a known hole",
  missing: "nothing collected",
};

/** A state this page does not know yet proves nothing. */
export function proofOf(state: string | undefined): Proof {
  return state === undefined ? "missing" : (CLASSES[state] ?? "missing");
}

export function minutesWords(ms: number): string {
  return `${Math.round(ms / 60_000).toLocaleString("en-US")} min`;
}
