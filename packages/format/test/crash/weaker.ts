// Stores between the library and the disk that keep the protocol less well than they should.
import type { SyncStore } from "@qdb/format/container";
import type { Bend } from "./bench.ts";
import type { Disk } from "./disk.ts";
import { headersOf, RawFile } from "./raw-file.ts";

/** A store that passes everything on, but for what is given. */
function bent(disk: Disk, other: Partial<SyncStore>): SyncStore {
  return {
    get size() {
      return disk.size;
    },
    fixedSize: disk.fixedSize,
    readSync: (offset, length) => disk.readSync(offset, length),
    writeSync: (offset, bytes) => disk.writeSync(offset, bytes),
    flushSync: () => disk.flushSync(),
    truncateSync: (length) => disk.truncateSync(length),
    replaceSync: (image) => disk.replaceSync(image),
    ...other,
  };
}

/** Leaves out the flush behind each write at one of the places that `isPlace` names. */
function unflushed(isPlace: (offset: number, disk: Disk) => boolean): Bend {
  return (disk) => {
    let skips = false;
    return bent(disk, {
      writeSync(offset, bytes) {
        skips = isPlace(offset, disk);
        disk.writeSync(offset, bytes);
      },
      flushSync() {
        if (!skips) disk.flushSync();
        skips = false;
      },
    });
  };
}

function mirrorOf(disk: Disk): number {
  const { bytes } = disk;
  return headersOf(bytes) === "mirror" ? 4096 : new RawFile(bytes).mirror;
}

/** Where whole clusters end that a structure of the file has. */
function endOfClusters(disk: Disk): number {
  const { bytes } = disk;
  const file = new RawFile(bytes, headersOf(bytes) === "mirror" ? mirrorOf(disk) : 0);
  const ends = file.structures().map(({ offset, length }) => offset + length);
  return Math.ceil(Math.max(file.floor, ...ends) / file.clusterSize) * file.clusterSize;
}

/** What is weaker, and how. */
export const WEAKER: Readonly<Record<string, Bend>> = {
  "the flush between mirror and primary is left out": unflushed((offset, disk) => offset === mirrorOf(disk)),
  "the flush behind the primary is left out": unflushed((offset) => offset === 0),
  "the fence is left out": (disk) => {
    let isFence = true;
    return bent(disk, {
      writeSync(offset, bytes) {
        if (offset !== 0) isFence = false;
        if (!isFence) disk.writeSync(offset, bytes);
      },
      flushSync() {
        if (!isFence) disk.flushSync();
      },
    });
  },
  "a flush that fails is tried again": (disk) =>
    bent(disk, {
      flushSync() {
        try {
          disk.flushSync();
        } catch {
          disk.flushSync();
        }
      },
    }),
  "a cut ends inside a block that is in use": (disk) =>
    bent(disk, { truncateSync: (length) => disk.truncateSync(Math.min(length, endOfClusters(disk))) }),
  "a cut takes a block too many": (disk) =>
    bent(disk, { truncateSync: (length) => disk.truncateSync(Math.max(0, length - 4096)) }),
  "a write behind the headers is lost now and then": (disk) => {
    let writes = 0;
    return bent(disk, {
      writeSync(offset, bytes) {
        if (offset < 8192 || ++writes % 7 !== 0) disk.writeSync(offset, bytes);
      },
    });
  },
};
