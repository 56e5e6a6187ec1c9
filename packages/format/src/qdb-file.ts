/// <reference lib="esnext.disposable" preserve="true" />
import { findBitmap, type QdbIndex } from "./open/qdb-index.ts";
import type { AnySource } from "./ports/source.ts";
import { ASYNC, runTask } from "./ports/task.ts";
import { type OpenOptions, QdbReader } from "./retry/qdb-reader.ts";
import { StoredBitmap } from "./stored-bitmap.ts";

/**
 * A QDB file that is open for reading. It takes no lock. If a writer commits during a call, the call starts over on the new generation. It
 * fails with LOCKED if that goes on for ten seconds, or with SOURCE_CHANGED if it has yielded a part of its output (spec §5, Readers).
 * Since each call may read header and table anew, each can also throw what `open` throws.
 */
export class QdbFile {
  /** What functions such as `readAll` read the file by. @internal */
  readonly reader: QdbReader;

  private constructor(reader: QdbReader) {
    this.reader = reader;
  }

  /**
   * Opens a file: reads header and bitmap table.
   * @throws {QdbError} the code of the first error of the file (spec §7); IO, SHORT_READ if header or table cannot be read; ABORTED if the
   * signal is aborted; LOCKED if a writer commits during every attempt
   */
  static async open(source: AnySource, options: OpenOptions = {}): Promise<QdbFile> {
    return new QdbFile(await runTask(QdbReader.open(ASYNC, source, options)));
  }

  /** Header, extensions and table, as they were last read. */
  get index(): QdbIndex {
    return this.reader.index;
  }

  /** Number of the state of the file that was last read; each commit makes it one more. Always 0 for a draft. */
  get generation(): bigint {
    return this.index.header.generation;
  }

  /** The bitmaps in the order of the table. */
  get bitmaps(): readonly StoredBitmap[] {
    const { index } = this;
    return index.table.entries.map((entry) => StoredBitmap.of(this.reader, index, entry));
  }

  /** Returns the bitmap with a name. @throws {QdbError} NOT_FOUND if no bitmap has it; DUPLICATE_NAME if several have it */
  bitmap(name: string): StoredBitmap {
    const { index } = this;
    return StoredBitmap.of(this.reader, index, findBitmap(index, name));
  }

  /** Closes the source. A source of `@qdb/io-node` may be closed twice. */
  async close(): Promise<void> {
    await this.reader.close();
  }

  /** Closes the source, at the end of the block of an `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
