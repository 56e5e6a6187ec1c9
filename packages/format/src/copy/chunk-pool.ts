/** The chunks that are being copied: as many at the same time as allowed. The first error of one is kept and thrown. */
export class ChunkPool {
  readonly #limit: number;
  /** Promises that never reject. */
  readonly #pending = new Set<Promise<void>>();
  #failure: { readonly error: unknown } | undefined;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Throws the first error of a chunk, if there is one. @throws {unknown} that error */
  check(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  /** Adds a chunk, and waits until there is room for another one. @throws {unknown} as {@link check} */
  async add(copying: Promise<void>): Promise<void> {
    const pending: Promise<void> = copying
      .catch((error: unknown) => {
        this.#failure ??= { error };
      })
      .finally(() => this.#pending.delete(pending));
    this.#pending.add(pending);
    if (this.#pending.size >= this.#limit) await Promise.race(this.#pending);
    this.check();
  }

  /** Waits until no chunk is being copied, also if some of them fail. */
  async settled(): Promise<void> {
    await Promise.all(this.#pending);
  }
}
