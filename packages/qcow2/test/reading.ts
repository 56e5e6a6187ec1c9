// What the tests of this package read images by.
import { bytesSource, isQdbError, type QdbErrorCode, type SyncByteSource, type Where } from "@qdb/format";
import { bitmapPlan, type ClusterMap, countPlan, extentsPlan, runSync, streamSync } from "@qdb/format/container";
import { confirmQcow2, type Qcow2Index, readQcow2Index } from "@qdb/qcow2";

/** A source over bytes that counts what is read. */
export function countingSource(bytes: Uint8Array): SyncByteSource & { bytesRead: number } {
  const source = bytesSource(bytes);
  return {
    bytesRead: 0,
    size: source.size,
    readSync(offset, length) {
      this.bytesRead += length;
      return source.readSync(offset, length);
    },
  };
}

/** Dirty ranges of a disk, `[offset, length]` in bytes. */
export type Dirty = (readonly [offset: number, length: number])[];

export function dirtyOf(map: ClusterMap, source: SyncByteSource): Dirty {
  const dirty: Dirty = [];
  for (const batch of streamSync(extentsPlan(map), source)) {
    for (const { offset, length } of batch.ranges()) dirty.push([offset, length]);
  }
  return dirty;
}

/** Reads index and bits of all bitmaps, and sees that counting and loading agree with streaming. */
export function readAll(bytes: Uint8Array): { index: Qcow2Index; dirty: Map<string, Dirty>; bytesRead: number } {
  const source = countingSource(bytes);
  const index = runSync(readQcow2Index(bytes.length), source);
  const maps = index.bitmaps.map((bitmap) => bitmap.map());
  const dirty = new Map(maps.map((map) => [map.label, dirtyOf(map, source)]));
  const { bytesRead } = source;
  for (const map of maps) {
    const total = (dirty.get(map.label) ?? []).reduce((sum, [, length]) => sum + length, 0);
    const loaded = runSync(bitmapPlan(map), source);
    const counted = runSync(countPlan(map), source);
    if (counted.bytes !== BigInt(total) || loaded.dirtyBytes() !== BigInt(total) || loaded.count() !== counted.bits) {
      throw new Error(
        `${map.label}: ${total} dirty bytes streamed, ${counted.bytes} counted, ${loaded.dirtyBytes()} loaded`,
      );
    }
  }
  runSync(confirmQcow2(index), source);
  return { index, dirty, bytesRead };
}

/** Code and place of the QdbError that a call throws; another error, or none, is a failure. */
export function codeOf(call: () => unknown): [QdbErrorCode, Where] {
  try {
    call();
  } catch (error) {
    if (isQdbError(error)) return [error.code, error.where];
    throw error;
  }
  throw new Error("nothing was thrown");
}

/** Reads the index of an image in memory. */
export function open(bytes: Uint8Array): Qcow2Index {
  return runSync(readQcow2Index(bytes.length), bytesSource(bytes));
}
