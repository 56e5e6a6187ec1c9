import { Bitmap, type BitmapShape, type ExtentBatch, type LongCallOptions, QdbError, quote } from "@qdb/format";
import { closing, LongCall } from "@qdb/format/internal";
import { pathChanged } from "../system/errors.ts";
import { leadsTo } from "../system/file-status.ts";
import { Handle } from "../system/handle.ts";
import { requireWritableHost } from "../system/writable-host.ts";
import { type DiskOfBitmap, requireDisk } from "./disk-state.ts";
import { WatchedImage } from "./watched-image.ts";

/** Dirty extents of one disk in ascending order: a bitmap, or the result of `batches()` of a bitmap in memory or in a file. */
export type Extents = Bitmap | Iterable<ExtentBatch> | AsyncIterable<ExtentBatch>;

/** Options of {@link copyExtents}. */
export interface CopyOptions extends LongCallOptions {
  /** The bitmap that the extents come from. The source must match its disk stamp (spec §3, record 2). */
  readonly disk?: DiskOfBitmap;
}

/** Number of bytes that are copied at a time. */
const CHUNK_BYTES = 2 ** 20;

/**
 * Copies the dirty extents of a raw image, the source, onto another one of the same size, the target, which must exist, and flushes the
 * target. Both are files or block devices. Clean ranges of the target are neither read nor written; the source is opened for reading only.
 * Progress counts the bytes of the disk up to the current position. After an error, some of the extents may have been copied.
 *
 * The source must not change while it is open. If `extents` is a function, it is called after the source was opened, so that a change of the
 * source between the reading of the bitmap and the reading of the source is detected.
 * @returns the number of bytes that were copied
 * @throws {QdbError} SIZE_MISMATCH if source, target and extents are not of the same size; USAGE if source and target are one file;
 * WRONG_DISK if the source differs from the disk stamp of `options.disk`: then nothing was written; SOURCE_CHANGED if the length or the mtime
 * of the source changed during the copy, which must then be repeated; PATH_CHANGED if the target was removed or replaced during the copy;
 * LOCKED if the target is a device that is in use; NOT_SUPPORTED on other hosts than Linux; ABORTED if the signal is aborted; IO if a read,
 * write or flush fails; what opening the files and reading the extents throw
 */
export async function copyExtents(
  extents: Extents | (() => Promise<Extents>),
  source: string,
  target: string,
  options: CopyOptions = {},
): Promise<number> {
  requireWritableHost();
  const from = new WatchedImage(source);
  return closing(from.handle, async () => {
    const to = Handle.openForWriting(target);
    const copied = await closing(to, async () => {
      checkPair(from, to);
      const known = typeof extents === "function" ? await extents() : extents;
      // The disk is compared after all other checks of the bitmap (QDB-ERR-025). The open file is compared, since its path may lead to
      // another file by now.
      if (options.disk !== undefined) requireDisk(options.disk, from.status, source);
      const bytes = await new Copy(from, to, new LongCall(options)).run(known);
      to.sync();
      confirmTarget(to);
      return bytes;
    });
    from.checkUnchanged();
    return copied;
  });
}

function checkPair(from: WatchedImage, to: Handle): void {
  const { key, size } = to.status();
  const names = `${quote(from.handle.path)} and ${quote(to.path)}`;
  if (key === from.key) throw new QdbError("USAGE", `${names} are the same file; name two different images`);
  if (size !== from.size) {
    throw new QdbError("SIZE_MISMATCH", `${names} have ${from.size} and ${size} bytes; make them the same size first`);
  }
}

/**
 * Checks that the path still leads to the target: otherwise the extents were copied into a file that nobody finds.
 * @throws {QdbError} PATH_CHANGED if it leads to another file or to none; IO if the path cannot be looked up
 */
function confirmTarget(to: Handle): void {
  if (leadsTo(to.path, to.status().key)) return;
  const { code, message } = pathChanged(to.path);
  throw new QdbError(code, `${message}; the extents were copied into it; copy them again`);
}

class Copy {
  readonly #from: WatchedImage;
  readonly #to: Handle;
  readonly #call: LongCall;
  readonly #total: number;
  readonly #buffer: Buffer;
  /** Start and end of a range that is not copied yet, because the next range may continue it; in bytes. */
  #start = 0;
  #end = 0;
  #copied = 0;

  constructor(from: WatchedImage, to: Handle, call: LongCall) {
    this.#from = from;
    this.#to = to;
    this.#call = call;
    this.#total = Number(from.size);
    this.#buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES);
  }

  async run(extents: Extents): Promise<number> {
    this.#call.checkSignal();
    if (extents instanceof Bitmap) this.#checkShape(extents);
    for await (const batch of extents instanceof Bitmap ? extents.batches() : extents) {
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
    this.#call.finish(this.#total);
    return this.#copied;
  }

  #checkShape({ size }: BitmapShape): void {
    if (size !== this.#from.size) {
      const image = quote(this.#from.handle.path);
      throw new QdbError("SIZE_MISMATCH", `the bitmap is for a disk of ${size} bytes, ${image} has ${this.#from.size}`);
    }
  }

  async #flush(): Promise<void> {
    for (let at = this.#start; at < this.#end; at += CHUNK_BYTES) {
      const length = Math.min(CHUNK_BYTES, this.#end - at);
      this.#from.readInto(this.#buffer, length, at);
      this.#to.write(this.#buffer.subarray(0, length), at);
      this.#copied += length;
      const pause = this.#call.step(at + length, this.#total);
      if (pause !== undefined) await pause;
    }
    this.#start = this.#end;
  }
}
