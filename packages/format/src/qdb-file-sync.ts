/// <reference lib="esnext.disposable" preserve="true" />
import { findBitmap, type QdbIndex } from "./open/qdb-index.ts";
import type { SyncByteSource } from "./ports/source.ts";
import { runTaskSync, SYNC, wait } from "./ports/task.ts";
import { type OpenOptions, QdbReader } from "./retry/qdb-reader.ts";
import { StoredBitmapSync } from "./stored-bitmap-sync.ts";

/**
 * A QDB file that is open for reading by calls that block the thread: for scripts, and where nothing can be awaited. It takes no lock. If a
 * writer commits during a call, the call starts over, as those of `QdbFile` do, and pauses of up to ten seconds block the thread too.
 */
export class QdbFileSync {
  readonly #reader: QdbReader;

  private constructor(reader: QdbReader) {
    this.#reader = reader;
  }

  /**
   * Opens a file: reads header and bitmap table. The hook `beforeBits` has to be synchronous.
   * @throws {QdbError} as `QdbFile.open`; NOT_SUPPORTED, also in later calls, if `refresh` or `close` of the source, or `beforeBits`, returns a promise
   */
  static open(source: SyncByteSource, options: OpenOptions = {}): QdbFileSync {
    return new QdbFileSync(runTaskSync(QdbReader.open(SYNC, source, options)));
  }

  /** Header, extensions and table, as they were last read. */
  get index(): QdbIndex {
    return this.#reader.index;
  }

  /** Number of the state of the file that was last read; each commit makes it one more. Always 0 for a draft. */
  get generation(): bigint {
    return this.index.header.generation;
  }

  /** The bitmaps in the order of the table. */
  get bitmaps(): readonly StoredBitmapSync[] {
    const { index } = this;
    return index.table.entries.map((entry) => StoredBitmapSync.of(this.#reader, index, entry));
  }

  /** Returns the bitmap with a name. @throws {QdbError} NOT_FOUND if no bitmap has it; DUPLICATE_NAME if several have it */
  bitmap(name: string): StoredBitmapSync {
    const { index } = this;
    return StoredBitmapSync.of(this.#reader, index, findBitmap(index, name));
  }

  /** Closes the source. A source of `@qdb/io-node` may be closed twice. */
  close(): void {
    runTaskSync(wait(this.#reader.close()));
  }

  /** Closes the source, at the end of the block of a `using`. */
  [Symbol.dispose](): void {
    this.close();
  }
}
