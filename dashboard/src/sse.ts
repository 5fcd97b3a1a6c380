// Server-sent events from pieces of text: pure, whatever way the pieces were cut.

export interface SseEvent {
  readonly type: string;
  readonly id: string | null;
  readonly data: string;
}

export class SseReader {
  #rest = "";

  /** Every event that is whole now. */
  push(piece: string): SseEvent[] {
    this.#rest += piece;
    const blocks = this.#rest.split("\n\n");
    this.#rest = blocks.pop() ?? "";
    return blocks.map(eventOf).filter((event) => event !== null);
  }
}

function eventOf(block: string): SseEvent | null {
  let type = "message";
  let id: string | null = null;
  const data: string[] = [];
  for (const line of block.split("\n")) {
    const cut = line.indexOf(":");
    if (cut < 1) continue;
    const value = line.slice(cut + 1).replace(/^ /, "");
    const name = line.slice(0, cut);
    if (name === "event") type = value;
    else if (name === "id") id = value;
    else if (name === "data") data.push(value);
  }
  return data.length > 0 ? { type, id, data: data.join("\n") } : null;
}
