import { QdbError } from "../errors.ts";
import { type Crc32, type Digests, crc32 as ownCrc32 } from "../ports/digest.ts";

/** A temporary file that nobody else writes to. */
export interface SpoolFile {
  /** Writes all of `bytes` at `offset`. @throws {QdbError} IO */
  writeSync(offset: number, bytes: Uint8Array): void;
  /** Fills `target` with the bytes at `offset`, which were written before. @throws {QdbError} SHORT_READ, IO */
  readIntoSync(offset: number, target: Uint8Array): void;
}

/** Words of a page: 64 KiB. */
export const SPOOL_PAGE_WORDS = 16_384;
const PAGE_BYTES = SPOOL_PAGE_WORDS * 4;

/** Maximum number of pages in memory: 4 MiB. */
const MAX_PAGES = 64;

interface HeldPage {
  readonly words: Uint32Array;
  isChanged: boolean;
}

/**
 * Pages of bits, of which those used last are in memory, and the others in a temporary file. The file is opened when the first page has to
 * go there: bits that fit in memory need none.
 */
export class Spool {
  readonly #open: () => SpoolFile;
  readonly #crc32: Crc32;
  #file: SpoolFile | undefined;
  /** The pages in memory, the one used last at the end. */
  readonly #held = new Map<number, HeldPage>();
  /** The CRC-32 of each page in the file. */
  readonly #checksums = new Map<number, number>();
  #last: readonly [number, HeldPage] | undefined;
  #reserved = 0;

  /** `open` makes the temporary file. */
  constructor(open: () => SpoolFile, { crc32 = ownCrc32 }: Digests = {}) {
    this.#open = open;
    this.#crc32 = crc32;
  }

  /** Reserves numbers for pages. Returns the first of them. */
  reserve(pages: number): number {
    const first = this.#reserved;
    this.#reserved += pages;
    return first;
  }

  /**
   * Returns the words of a page, for reading only, valid until the next call. A page that was never changed is all zeros.
   * @throws {QdbError} IO if the temporary file cannot be written or read, or has other bytes than were written
   */
  page(page: number): Uint32Array {
    return this.#use(page).words;
  }

  /** Returns the words of a page, which the caller changes before the next call. @throws {QdbError} as {@link page} */
  change(page: number): Uint32Array {
    const held = this.#use(page);
    held.isChanged = true;
    return held.words;
  }

  /** Forgets a page: it is all zeros again. */
  forget(page: number): void {
    this.#held.delete(page);
    this.#checksums.delete(page);
    if (this.#last?.[0] === page) this.#last = undefined;
  }

  #use(page: number): HeldPage {
    if (this.#last?.[0] === page) return this.#last[1];
    const held = this.#held.get(page) ?? this.#load(page);
    this.#held.delete(page);
    this.#held.set(page, held);
    this.#last = [page, held];
    return held;
  }

  #load(page: number): HeldPage {
    const words = this.#freeWords();
    const checksum = this.#checksums.get(page);
    if (checksum === undefined) words.fill(0);
    else {
      const bytes = new Uint8Array(words.buffer);
      this.#spoolFile().readIntoSync(page * PAGE_BYTES, bytes);
      if (this.#crc32(bytes) !== checksum)
        throw new QdbError("IO", "a temporary file has other bytes than were written to it", {
          offset: page * PAGE_BYTES,
        });
    }
    return { words, isChanged: false };
  }

  /** Returns words with any contents: new ones, or those of the page whose last use is the longest ago. */
  #freeWords(): Uint32Array {
    const [oldest] = this.#held;
    if (oldest === undefined || this.#held.size < MAX_PAGES) return new Uint32Array(SPOOL_PAGE_WORDS);
    const [page, { words, isChanged }] = oldest;
    if (isChanged) {
      const bytes = new Uint8Array(words.buffer);
      this.#spoolFile().writeSync(page * PAGE_BYTES, bytes);
      this.#checksums.set(page, this.#crc32(bytes));
    }
    this.#held.delete(page);
    return words;
  }

  #spoolFile(): SpoolFile {
    this.#file ??= this.#open();
    return this.#file;
  }
}
