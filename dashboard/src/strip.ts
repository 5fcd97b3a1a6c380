// The completeness strip: one cell a bar, below every chart, in patterns.

import type { Bars } from "./bars.ts";
import { element, say } from "./element.ts";
import { PROOFS, PROOF_WORDS, minutesWords, proofOf, type Proof } from "./proof.ts";
import type { Palette } from "./theme.ts";

const HEIGHT = 16;

/** Where a bar is on the chart: left edge and width in CSS pixels; null when out of sight. */
export type Place = (startMs: number) => { x: number; width: number } | null;

export class Strip {
  readonly root: HTMLElement;
  readonly #canvas = element("canvas", { role: "img", "data-strip": "" });
  readonly #counts = new Map<Proof, HTMLElement>();

  constructor(label: string) {
    const legend = element("ul", { class: "legend" });
    for (const proof of PROOFS) {
      const count = element("span", { "data-proof": proof });
      this.#counts.set(proof, count);
      const swatch = element("canvas", { class: "swatch", "aria-hidden": "true", "data-swatch": proof });
      legend.append(element("li", { title: PROOF_WORDS[proof] }, swatch, `${proof} `, count));
    }
    this.#canvas.setAttribute("aria-label", label);
    this.root = element("div", { class: "strip" }, this.#canvas, legend);
  }

  draw(bars: Bars, place: Place, width: number, colours: Palette): void {
    const context = sized(this.#canvas, width, HEIGHT);
    const totals = new Map<Proof, number>();
    for (const [at, bar] of bars.slots()) {
      const proof = proofOf(bar?.state);
      totals.set(proof, (totals.get(proof) ?? 0) + bars.timeframeMs);
      const spot = place(at);
      if (spot !== null && spot.x + spot.width > 0 && spot.x < width) {
        pattern(context, proof, spot.x, Math.max(1, spot.width), HEIGHT, colours);
      }
    }
    const words: string[] = [];
    for (const proof of PROOFS) {
      const told = minutesWords(totals.get(proof) ?? 0);
      const count = this.#counts.get(proof);
      if (count !== undefined) say(count, told);
      words.push(`${proof} ${told}`);
    }
    this.#canvas.setAttribute("aria-label", `Completeness: ${words.join(", ")}`);
    for (const swatch of this.root.querySelectorAll<HTMLCanvasElement>("canvas.swatch")) {
      const proof = swatch.dataset["swatch"] as Proof;
      pattern(sized(swatch, 18, 12), proof, 0, 18, 12, colours);
    }
  }
}

/** A canvas of this size in CSS pixels, sharp on every screen, empty. */
export function sized(canvas: HTMLCanvasElement, width: number, height: number): CanvasRenderingContext2D {
  const scale = window.devicePixelRatio || 1;
  const wide = Math.max(1, Math.round(width * scale));
  const high = Math.max(1, Math.round(height * scale));
  if (canvas.width !== wide || canvas.height !== high) {
    canvas.width = wide;
    canvas.height = high;
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
  }
  const context = canvas.getContext("2d");
  if (context === null) throw new Error("this browser draws no canvas");
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);
  return context;
}

function pattern(
  context: CanvasRenderingContext2D,
  proof: Proof,
  x: number,
  width: number,
  height: number,
  colours: Palette,
): void {
  const gap = width > 3 ? 1 : 0;
  const right = x + width - gap;
  if (proof === "verified") {
    context.fillStyle = colours.buy;
    context.fillRect(x, 2, width - gap, height - 4);
    return;
  }
  if (proof === "complete") {
    // Half as high, so that it differs from verified in shape as well.
    context.fillStyle = colours.buy;
    context.fillRect(x, height / 2, width - gap, height / 2 - 2);
    return;
  }
  context.save();
  context.beginPath();
  context.rect(x, 1, width - gap, height - 2);
  context.clip();
  context.strokeStyle = proof === "partial" ? colours.sell : colours.faint;
  context.lineWidth = proof === "partial" ? 2 : 1;
  context.beginPath();
  if (proof === "partial") {
    for (let at = x - (x % 5) - height; at < right; at += 5) {
      context.moveTo(at, height);
      context.lineTo(at + height, 0);
    }
  } else {
    context.rect(x + 0.5, 2.5, Math.max(0, width - gap - 1), height - 5);
  }
  context.stroke();
  context.restore();
}
