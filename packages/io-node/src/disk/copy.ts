import { type ExtentSink, QdbError, quote, type SyncByteSource, transferExtents } from "@qdb/format";
import type { DirtyExtents, TransferOptions } from "@qdb/format/container";
import { closing } from "@qdb/format/internal";
import { pathChanged } from "../system/errors.ts";
import { leadsTo } from "../system/file-status.ts";
import { Handle } from "../system/handle.ts";
import { requireWritableHost } from "../system/writable-host.ts";
import { type DiskOfBitmap, requireDisk } from "./disk-state.ts";
import { WatchedImage } from "./watched-image.ts";

/** Options of {@link copyExtents}. */
export interface CopyOptions extends TransferOptions {
  /**
   * The bitmap that the extents come from, such as a `StoredBitmap`: `{ disk: file.bitmap("daily") }`. The source must match its disk stamp
   * (spec §3, record 2). The stamp is compared with the source that was opened; what `openQdb` compares is the disk that the bitmap records,
   * or the one of its own option `disk`.
   */
  readonly disk?: DiskOfBitmap | undefined;
}

/**
 * Copies the dirty extents of a raw image, the source, and returns the number of bytes that were copied. The source is a file or block
 * device, and opened for reading only. The target is one of
 *
 * - the path of another raw image of the same size, a file or block device, which must exist. Clean ranges of it are neither read nor
 *   written, and it is flushed to the disk at the end;
 * - a sink, to which the bytes are passed as `transferExtents` does.
 *
 * Progress counts the bytes of the disk up to the current position. After an error, some of the extents may have been copied.
 *
 * The source must not change while it is open. If `extents` is a function, it is called after the source was opened, so that a change of the
 * source between the reading of the bitmap and the reading of the source is detected.
 * @throws {QdbError} SIZE_MISMATCH if source, target and extents are not of the same size; USAGE if source and target are one file;
 * WRONG_DISK if the source differs from the disk stamp of `options.disk`: then nothing was written; SOURCE_CHANGED if the length or the mtime
 * of the source changed during the copy, which must then be repeated: the sink is not flushed then; PATH_CHANGED if the target was removed or
 * replaced during the copy; LOCKED if the target is a device that is in use; NOT_SUPPORTED for the path of a target on other hosts than
 * Linux; ABORTED if the signal is aborted; IO if a read, write or flush fails; what opening the files, reading the extents and the sink throw
 * @example
 * const bitmap = file.bitmap("daily");
 * await copyExtents(() => readBitmap(bitmap), "/vm/disk.raw", "/backup/disk.raw");
 * @example
 * // A store of chunks of 4 MiB. Without `regranulate`, `write` would get parts of chunks.
 * const chunkSize = 2 ** 22;
 * const sink = {
 *   async write(offset, bytes) {
 *     await store.put(`chunk-${offset / chunkSize}`, bytes);
 *   },
 * };
 * const bitmap = file.bitmap("daily");
 * const chunks = async () => (await readBitmap(bitmap)).regranulate(chunkSize);
 * await copyExtents(chunks, "/vm/disk.raw", sink, { chunkSize, disk: bitmap });
 */
export async function copyExtents(
  extents: DirtyExtents | (() => DirtyExtents | PromiseLike<DirtyExtents>),
  source: string,
  target: string | ExtentSink,
  options: CopyOptions = {},
): Promise<number> {
  if (typeof target === "string") requireWritableHost();
  const from = new WatchedImage(source);
  return closing(from.handle, async () => {
    const copied =
      typeof target === "string"
        ? await copyToImage(extents, from, target, options)
        : await copyToSink(extents, from, target, options);
    from.checkUnchanged();
    return copied;
  });
}

async function copyToImage(
  extents: Parameters<typeof copyExtents>[0],
  from: WatchedImage,
  target: string,
  options: CopyOptions,
): Promise<number> {
  const to = Handle.openForWriting(target);
  return closing(to, async () => {
    checkPair(from, to);
    const known = await begin(extents, from, options);
    let buffer = Buffer.alloc(0);
    const source: SyncByteSource = {
      size: Number(from.size),
      // The sink writes the bytes before the next ones are read, so one buffer serves all reads.
      readSync(offset, length) {
        if (buffer.length < length) buffer = Buffer.allocUnsafeSlow(length);
        from.readInto(buffer, length, offset);
        return buffer.subarray(0, length);
      },
    };
    const sink: ExtentSink = {
      write: (offset, bytes) => to.write(bytes, offset),
      flush() {
        to.sync();
        confirmTarget(to);
      },
    };
    return transferExtents(known, source, sink, options);
  });
}

async function copyToSink(
  extents: Parameters<typeof copyExtents>[0],
  from: WatchedImage,
  target: ExtentSink,
  options: CopyOptions,
): Promise<number> {
  const known = await begin(extents, from, options);
  const source: SyncByteSource = {
    size: Number(from.size),
    readSync: (offset, length) => from.read(offset, length),
  };
  const sink: ExtentSink = {
    write: (offset, bytes, call) => target.write(offset, bytes, call),
    flush() {
      from.checkUnchanged();
      return target.flush?.();
    },
  };
  return transferExtents(known, source, sink, options);
}

/** Returns the extents, and compares the disk. @throws {QdbError} WRONG_DISK; what reading the extents throws */
async function begin(
  extents: Parameters<typeof copyExtents>[0],
  from: WatchedImage,
  { disk }: CopyOptions,
): Promise<DirtyExtents> {
  const known = typeof extents === "function" ? await extents() : extents;
  // The disk is compared after all other checks of the bitmap (QDB-ERR-025). The open file is compared, since its path may lead to
  // another file by now.
  if (disk !== undefined) requireDisk(disk, from.status, from.handle.path);
  return known;
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
