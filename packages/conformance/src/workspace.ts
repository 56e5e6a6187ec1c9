import {
  closeSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { InputBytes } from "./corpus.ts";

/** A time long ago, so that a write to an input shows in its time even where its bytes are too many to be read again. */
const LONG_AGO = new Date("2014-11-01T00:00:00Z");

/** A folder for the files of a run, gone with it. */
export class Workspace {
  readonly folder: string;
  readonly #keep: string | undefined;

  constructor(keep: string | undefined) {
    this.folder = mkdtempSync(join(tmpdir(), "qdb-conformance-"));
    this.#keep = keep === undefined ? undefined : resolve(keep);
  }

  /** A new, empty folder for one vector. */
  begin(id: string): string {
    const folder = join(this.folder, id);
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder);
    return folder;
  }

  /** Removes a vector's folder, or keeps it for a look; gives where it is kept. */
  end(id: string, isWanted: boolean): string | undefined {
    const folder = join(this.folder, id);
    let kept: string | undefined;
    if (isWanted && this.#keep !== undefined) {
      kept = join(this.#keep, id);
      rmSync(kept, { recursive: true, force: true });
      mkdirSync(this.#keep, { recursive: true });
      // Holes stay holes: a sparse file is moved where that can be done, and copied by reference where the system can.
      cpSync(folder, kept, { recursive: true, mode: 2 });
    }
    rmSync(folder, { recursive: true, force: true });
    return kept;
  }

  /** Removes everything but what is kept. */
  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** A file that a program may read and must not change. */
export class InputFile {
  readonly path: string;
  readonly #bytes: InputBytes;
  #state = "";

  constructor(path: string, bytes: InputBytes) {
    this.path = path;
    this.#bytes = bytes;
    this.#write();
  }

  /** What was changed in it since; it is put right again, so that the next request finds it as it was. */
  change(): string | undefined {
    const what = this.#look();
    if (what !== undefined) {
      rmSync(this.path, { recursive: true, force: true });
      this.#write();
    }
    return what;
  }

  #write(): void {
    if (this.#bytes instanceof Uint8Array) writeFileSync(this.path, this.#bytes);
    else this.#bytes.save(this.path);
    utimesSync(this.path, LONG_AGO, LONG_AGO);
    this.#state = stateOf(this.path);
  }

  #look(): string | undefined {
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

/** What tells of a write to a file that is too long to be read. Not its blocks: on tmpfs who maps a hole takes one. The time of the last change shows a write of which `mtime` was put back. */
function stateOf(path: string): string {
  const { mtimeMs, ctimeMs, ino } = statSync(path);
  return `${mtimeMs} ${ctimeMs} ${ino}`;
}

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
