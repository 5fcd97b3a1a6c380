// The event stream over fetch: EventSource can send no header, and the key never goes in a URL.

import { ApiError, type Params, address, problemOf } from "./api.ts";
import { keyHeaders } from "./key.ts";
import { SseReader, type SseEvent } from "./sse.ts";

export type Health = "connecting" | "live" | "lost" | "refused";
export interface Change {
  readonly type: string;
  readonly key: string;
  readonly data: unknown;
}
export interface Heartbeat {
  readonly ready: boolean;
  readonly worst_lag_ms: number | null;
}
export interface Listener {
  changed(change: Change): void;
  beat(heartbeat: Heartbeat): void;
  reset(): void;
  health(health: Health, words: string): void;
}

const HEARTBEAT_S = 1;
/** The server says something every second, so this long a silence is a dead connection. */
const SILENCE_MS = 2_000;
const FIRST_WAIT_MS = 300;
const LONGEST_WAIT_MS = 5_000;

interface Told {
  type: string;
  key?: string;
  data?: unknown;
  items?: { key: string; data: unknown }[];
}

export class LiveStream {
  readonly #params: Params;
  readonly #listener: Listener;
  #cursor: string | null = null;
  #control: AbortController | null = null;
  #wanted = false;
  #waitMs = FIRST_WAIT_MS;
  #timer = 0;
  #watch = 0;

  constructor(params: Params, listener: Listener) {
    this.#params = params;
    this.#listener = listener;
  }

  start(): void {
    if (this.#wanted) return;
    this.#wanted = true;
    this.#listener.health("connecting", "connecting");
    void this.#run();
  }

  /** The place is kept: a later start goes on behind it. */
  stop(): void {
    this.#wanted = false;
    clearTimeout(this.#timer);
    clearTimeout(this.#watch);
    this.#control?.abort();
    this.#control = null;
  }

  async #run(): Promise<void> {
    const control = new AbortController();
    this.#control = control;
    try {
      this.#guard(control);
      await this.#read(control);
      this.#again("the server ended the stream");
    } catch (error) {
      if (!this.#wanted || (control.signal.aborted && control !== this.#control)) return;
      if (error instanceof ApiError && (error.status === 401 || error.status === 403)) {
        this.#wanted = false;
        clearTimeout(this.#watch);
        this.#listener.health("refused", error.message);
        return;
      }
      if (error instanceof ApiError && error.status === 400) this.#cursor = null;
      const wait = error instanceof ApiError ? error.retryAfterS : null;
      this.#again("the connection was lost", wait);
    }
  }

  async #read(control: AbortController): Promise<void> {
    const place: Record<string, string> = this.#cursor === null ? {} : { "Last-Event-ID": this.#cursor };
    const response = await fetch(address("stream", { ...this.#params, heartbeat_s: HEARTBEAT_S }), {
      signal: control.signal,
      headers: { Accept: "text/event-stream", ...place, ...keyHeaders() },
      credentials: "omit",
      cache: "no-store",
    });
    if (!response.ok || response.body === null) throw await problemOf(response);
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    const events = new SseReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      this.#guard(control);
      for (const event of events.push(value)) this.#hear(event);
    }
  }

  #hear(event: SseEvent): void {
    const told = JSON.parse(event.data) as Told;
    if (told.type === "heartbeat") this.#listener.beat(told as unknown as Heartbeat);
    else if (told.type === "reset") this.#listener.reset();
    else if (told.type === "snapshot") {
      for (const item of told.items ?? []) this.#listener.changed({ type: "snapshot", ...item });
    } else if (told.key !== undefined) {
      this.#listener.changed({ type: told.type, key: told.key, data: told.data });
    }
    // Only after it was taken: a place in front of it would lose it.
    if (event.id !== null) this.#cursor = event.id;
    this.#waitMs = FIRST_WAIT_MS;
    this.#listener.health("live", "live");
  }

  #guard(control: AbortController): void {
    clearTimeout(this.#watch);
    this.#watch = window.setTimeout(() => control.abort(), SILENCE_MS);
  }

  #again(words: string, waitS: number | null = null): void {
    clearTimeout(this.#watch);
    if (!this.#wanted) return;
    const wait = waitS === null ? this.#waitMs * (0.5 + Math.random() / 2) : waitS * 1_000;
    this.#waitMs = Math.min(LONGEST_WAIT_MS, this.#waitMs * 2);
    this.#listener.health("lost", `${words}; trying again`);
    this.#timer = window.setTimeout(() => void this.#run(), wait);
  }
}
