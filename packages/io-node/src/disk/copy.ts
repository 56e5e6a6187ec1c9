import { Bitmap, type BitmapShape, type ExtentBatch, QdbError, quote } from "@qdb/format";
import { pathChanged } from "../system/errors.ts";
import { leadsTo } from "../system/facts.ts";
import { Handle } from "../system/handle.ts";
import { requireWritableHost } from "../system/host.ts";
import { type LongCallOptions, Pace } from "../system/pace.ts";
import { type DiskOfBitmap, requireDisk } from "./disk-state.ts";
import { WatchedImage } from "./images.ts";

/** Dirty extents of one disk in ascending order: a bitmap, or batches as bitmaps and files give them out. */
export type Extents = Bitmap | Iterable<ExtentBatch> | AsyncIterable<ExtentBatch>;

/** What {@link copyExtents} takes. */
export interface CopyOptions extends LongCallOptions {
  /** The bitmap that the extents are of: the source must be the disk that it was stored for, unchanged since (spec §3, record 2). */
  readonly disk?: DiskOfBitmap;
}

/** Bytes moved at a time. */
const PIECE = 2 ** 20;

/**
 * Copies the dirty extents of one raw image onto another existing one (files or block devices) of the same size, and
 * flushes it. Clean ranges of the target are neither read nor written; the source is opened for reading only.
 * Progress counts bytes of the disk that are passed. After an error, a part of the ranges may have been copied.
 *
 * The source is watched from its opening to the end. Extents given as a function are asked for after the opening, so that
 * no change between the reading of a bitmap and that of its disk is missed.
 * @returns bytes copied
 * @throws {QdbError} SIZE_MISMATCH when source, target and extents are not for the same size; USAGE when both are one file;
 * WRONG_DISK when the source, as it was opened, is not the disk of `options.disk`; then nothing was written;
 * SOURCE_CHANGED when the source's size or mtime changed meanwhile (the target is to be copied again then);
 * PATH_CHANGED when the target was removed or replaced meanwhile; LOCKED for a target device in use; NOT_SUPPORTED on other hosts than Linux; ABORTED; IO; and what the extents and opening throw
 */
export async function copyExtents(
  extents: Extents | (() => Promise<Extents>),
  source: string,
  target: string,
  options: CopyOptions = {},
): Promise<number> {
  requireWritableHost();
  const from = new WatchedImage(source);
  try {
    const to = Handle.openForWriting(target);
    let copied: number;
    try {
      checkPair(from, to);
      const known = typeof extents === "function" ? await extents() : extents;
      // After all other rules of the bitmap (QDB-ERR-025), and of what is open: the path may lead elsewhere by now.
      if (options.disk !== undefined) requireDisk(options.disk, from.facts, source);
      copied = await new Copy(from, to, new Pace(options)).run(known);
      to.sync();
      confirmTarget(to);
    } catch (error) {
      to.closeAfterError();
      throw error;
    }
    to.close();
    from.checkUnchanged();
    return copied;
  } finally {
    from.handle.close();
  }
}

function checkPair(from: WatchedImage, to: Handle): void {
  const { key, size } = to.facts();
  const names = `${quote(from.handle.path)} and ${quote(to.path)}`;
  if (key === from.key) throw new QdbError("USAGE", `${names} are the same file; name two different images`);
  if (size !== from.size) {
    throw new QdbError("SIZE_MISMATCH", `${names} have ${from.size} and ${size} bytes; make them the same size first`);
  }
}

/** Extents in a file that the path does not name any more are no copy. @throws {QdbError} PATH_CHANGED, IO */
function confirmTarget(to: Handle): void {
  if (leadsTo(to.path, to.facts().key)) return;
  const { code, message } = pathChanged(to.path);
  throw new QdbError(code, `${message}; the extents were copied into it; copy them again`);
}

class Copy {
  readonly #from: WatchedImage;
  readonly #to: Handle;
  readonly #pace: Pace;
  readonly #total: number;
  readonly #buffer: Buffer;
  /** The range that was met last and not yet copied; the next one may continue it. */
  #start = 0;
  #end = 0;
  #copied = 0;

  constructor(from: WatchedImage, to: Handle, pace: Pace) {
    this.#from = from;
    this.#to = to;
    this.#pace = pace;
    this.#total = Number(from.size);
    this.#buffer = Buffer.allocUnsafeSlow(PIECE);
  }

  async run(extents: Extents): Promise<number> {
    this.#pace.checkSignal();
    if (extents instanceof Bitmap) this.#checkShape(extents);
    for await (const batch of extents instanceof Bitmap ? extents.extents() : extents) {
      this.#checkShape(batch.shape);
      for (const { offset, length } of batch.ranges()) {
        if (offset !== this.#end) {
          await this.#flush();
          this.#start = offset;
        }
        this.#end = offset + length;
      }
    }
    await this.#flush();
    this.#pace.finish(this.#total);
    return this.#copied;
  }

  #checkShape({ size }: BitmapShape): void {
    if (size !== this.#from.size) {
      const image = quote(this.#from.handle.path);
      throw new QdbError("SIZE_MISMATCH", `the bitmap is for a disk of ${size} bytes, ${image} has ${this.#from.size}`);
    }
  }

  async #flush(): Promise<void> {
    for (let at = this.#start; at < this.#end; at += PIECE) {
      const length = Math.min(PIECE, this.#end - at);
      this.#from.readInto(this.#buffer, length, at);
      this.#to.write(this.#buffer.subarray(0, length), at);
      this.#copied += length;
      const pause = this.#pace.step(at + length, this.#total);
      if (pause !== undefined) await pause;
    }
    this.#start = this.#end;
  }
}
