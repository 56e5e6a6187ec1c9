import {
  closeSync,
  existsSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import type { InputBytes } from "../corpus/corpus.ts";

/**
 * The mtime of every input file. It is long ago, so that a write changes it. A file that is too long to be compared is recognised as
 * changed by its times.
 */
const LONG_AGO = new Date("2014-11-01T00:00:00Z");

/** A file on the disk that a program may read and must not change. */
export class InputFile {
  readonly path: string;
  readonly #bytes: InputBytes;
  /** The times and the inode of the file after it was written. */
  #state = "";

  /** Writes the file. */
  constructor(path: string, bytes: InputBytes) {
    this.path = path;
    this.#bytes = bytes;
    this.#write();
  }

  /**
   * Compares the file with what was written. Returns the first difference found, or undefined. If there is one, the file is written again,
   * so that the next request reads the original bytes.
   */
  findChange(): string | undefined {
    const change = this.#compare();
    if (change !== undefined) {
      rmSync(this.path, { recursive: true, force: true });
      this.#write();
    }
    return change;
  }

  #write(): void {
    if (this.#bytes instanceof Uint8Array) writeFileSync(this.path, this.#bytes);
    else this.#bytes.save(this.path);
    utimesSync(this.path, LONG_AGO, LONG_AGO);
    this.#state = stateOf(this.path);
  }

  #compare(): string | undefined {
    if (!existsSync(this.path)) return "the input file is gone";
    const { size } = statSync(this.path);
    if (size !== this.#bytes.length) return `the input file was ${this.#bytes.length} bytes long and is ${size} now`;
    if (this.#bytes instanceof Uint8Array) {
      return readFileSync(this.path).equals(this.#bytes) ? undefined : "the input file has other bytes than before";
    }
    for (const [page, bytes] of this.#bytes.written()) {
      const part = bytes.subarray(0, Math.min(bytes.length, this.#bytes.length - page * bytes.length));
      if (!readAt(this.path, page * bytes.length, part.length).equals(part))
        return `the input file has other bytes than before near offset ${page * bytes.length}`;
    }
    return stateOf(this.path) === this.#state ? undefined : "the input file was written to";
  }
}

/**
 * Returns the values that a write to a file changes. `ctime` changes even if the writer sets `mtime` back. The number of blocks is not one of
 * them: on tmpfs, a reader that maps a hole allocates a block.
 */
function stateOf(path: string): string {
  const { mtimeMs, ctimeMs, ino } = statSync(path);
  return `${mtimeMs} ${ctimeMs} ${ino}`;
}

/** Reads `length` bytes at an offset. Bytes past the end of the file are zeros. */
function readAt(path: string, offset: number, length: number): Buffer {
  const file = openSync(path, "r");
  try {
    const bytes = Buffer.alloc(length);
    let done = 0;
    while (done < length) {
      const count = readSync(file, bytes, done, length - done, offset + done);
      if (count === 0) break;
      done += count;
    }
    return bytes;
  } finally {
    closeSync(file);
  }
}
