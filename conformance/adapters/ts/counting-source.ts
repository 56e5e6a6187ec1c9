// SPDX-License-Identifier: CC0-1.0 OR MIT
import type { ByteSource, SyncByteSource } from "@qdb/format";

/** A file as a source that counts: bytes, and rounds of reads of which none waits for another. */
export class CountingSource implements ByteSource {
  readonly #source: SyncByteSource;
  #pending = 0;
  bytes = 0;
  rounds = 0;

  constructor(source: SyncByteSource) {
    this.#source = source;
  }

  get size(): number {
    return this.#source.size;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    if (this.#pending === 0) this.rounds++;
    this.#pending++;
    this.bytes += length;
    try {
      // The other reads of a round are asked for before the first one is answered.
      await undefined;
      return this.#source.readSync(offset, length);
    } finally {
      this.#pending--;
    }
  }
}
