// Many messages, one drawing: the newest state of each key waits for the next frame.

export class FrameQueue<T> {
  readonly #waiting = new Map<string, T>();
  readonly #take: (found: ReadonlyMap<string, T>) => void;
  #asked = 0;

  constructor(take: (found: ReadonlyMap<string, T>) => void) {
    this.#take = take;
  }

  put(key: string, value: T): void {
    // Deleted first, so that keys are taken in the order of their newest message.
    this.#waiting.delete(key);
    this.#waiting.set(key, value);
    if (this.#asked === 0) this.#asked = requestAnimationFrame(() => this.#flush());
  }

  clear(): void {
    cancelAnimationFrame(this.#asked);
    this.#asked = 0;
    this.#waiting.clear();
  }

  #flush(): void {
    this.#asked = 0;
    const found = new Map(this.#waiting);
    this.#waiting.clear();
    this.#take(found);
  }
}
