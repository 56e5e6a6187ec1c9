// Files that are made to hurt. No test framework here: memory-child.ts runs them in a process of its own.
import { crc32 } from "node:zlib";
import { be, bits, file, join, rep, tlv, utf8 } from "./hand.ts";
import { type SparseSource, sparse } from "./sparse.ts";

const MIB = 2 ** 20;
const TABLE = 8192; // 2H with clusters of 512 bytes

/** A table of `count` entries of 48 bytes, each with its number for a name, and what `fill` writes into it. */
function smallEntries(count: number, fill: (entry: DataView, at: number) => void): Uint8Array {
  const table = new Uint8Array(count * 48);
  for (let at = 0; at < count; at++) {
    const entry = new DataView(table.buffer, at * 48, 48);
    entry.setUint32(12, 65536); // granularity
    entry.setUint16(26, 8);
    table.set(utf8(at.toString(16).padStart(8, "0")), at * 48 + 40);
    fill(entry, at);
  }
  return table;
}

function headerFor(table: Uint8Array, nbBitmaps: number, clusterBits = 9, tableAt = TABLE, allOnes = true): Uint8Array {
  const header = {
    nbBitmaps,
    bitmapsOffset: BigInt(tableAt),
    bitmapsSize: table.length,
    tableChecksum: crc32(table),
    incompatible: allOnes ? 1n : 0n,
  };
  return file({ clusterBits, header }).slice(0, TABLE);
}

function withTable(table: Uint8Array, nbBitmaps: number, size: number, ...more: [number, Uint8Array][]): SparseSource {
  const ends = more.map(([at, bytes]) => at + bytes.length);
  return sparse(
    Math.max(size, TABLE + table.length, ...ends),
    [0, headerFor(table, nbBitmaps)],
    [TABLE, table],
    ...more,
  );
}

/** Where the cluster behind a table begins. */
const behind = (table: Uint8Array): number => Math.ceil((TABLE + table.length) / 512) * 512;

/** An entry of 48 bytes for an L1 area. */
function placeL1(
  entry: DataView,
  at: number,
  entries: number,
  size: bigint,
  granularity: number,
  checksum: number,
): void {
  entry.setBigUint64(0, BigInt(at));
  entry.setUint32(8, entries);
  entry.setUint32(12, granularity);
  entry.setBigUint64(16, size);
  entry.setUint32(28, checksum);
}

/** One bitmap of 2^20 entries, or fewer, of which each is what `descriptor` says: 2^32 bits at most. */
function oneHuge(descriptor: (at: number) => number, size: number, count = 2 ** 20): SparseSource {
  const area = new Uint8Array(count * 12);
  const view = new DataView(area.buffer);
  for (let at = 0; at < count; at++) {
    const value = descriptor(at);
    view.setUint32(at * 8, Math.floor(value / 2 ** 32));
    view.setUint32(at * 8 + 4, value % 2 ** 32);
  }
  const table = smallEntries(1, (entry) =>
    placeL1(entry, TABLE + 512, count, BigInt(count) * 2n ** 21n, 512, crc32(area)),
  );
  return withTable(table, 1, Math.max(size, TABLE + 512 + area.length), [TABLE + 512, area]);
}

/** An L1 area of one entry, zeros: the entry, its checksum, padding. */
const ZERO_AREA = new Uint8Array(16);
/** Most bitmaps of one file. */
const MOST = 65535;

/** Records of 8 bytes, each of another type. */
function records(bytes: number): Uint8Array {
  const result = new Uint8Array(bytes);
  const view = new DataView(result.buffer);
  for (let at = 0; at < bytes; at += 8) view.setUint32(at, 100 + at);
  return result;
}

/** Files that are changed too: their L1 entries name what a commit has to leave free. */
export const EDITED: ReadonlySet<string> = new Set([
  "2^18 entries of one cluster",
  "2^18 entries past the end",
  "2^20 preallocations",
  "2^20 entries behind the end, one in every second block",
]);

/** Files that are repaired too. */
export const REPAIRED: ReadonlySet<string> = new Set([
  "65535 empty bitmaps",
  "65535 bitmaps, every one in error",
  "65535 bitmaps with damaged L1 areas",
  "65534 L1 areas at one place, and 2^16 entries that name it",
  "2^18 entries of one cluster",
  "2^18 entries past the end",
  "2^20 entries, ones and zeros in turn",
  "four damaged bitmaps of 2^32 bits",
  "1000 damaged bitmaps of 2^32 bits with L1 areas past the end",
  "two damaged bitmaps of 2^29 bits, without all-ones clusters",
  "2^16 damaged data clusters",
]);

/** Files of which a repair holds much, so that it is done once more within 16 MiB. `pnpm soak memory` does that with every file. */
export const BOUND_REPAIRS: ReadonlySet<string> = new Set([
  "65535 bitmaps with damaged L1 areas",
  "four damaged bitmaps of 2^32 bits",
  "two damaged bitmaps of 2^29 bits, without all-ones clusters",
]);

/** Files that take so long in a small heap that only `pnpm soak memory` reads them in one. */
export const SLOW: ReadonlySet<string> = new Set([
  "2^18 entries of one cluster",
  "2^18 entries past the end",
  "2^20 entries behind the end, one in every second block",
  "2^20 entries, ones and zeros in turn",
  "2^20 preallocations",
  "every second bit of a cluster of 2 MiB dirty",
]);

/**
 * Files that `npm test` makes with {@link FEW} bitmaps, and `pnpm soak memory` with as many as there can be: what is asked of a file
 * with so many is asked of others too.
 */
export const FEWER: ReadonlySet<string> = new Set([
  "65535 bitmaps, every one in error",
  "65535 good bitmaps, each with a data cluster",
  "65534 L1 areas at one place, and 2^16 entries that name it",
]);

/** The fewer bitmaps. */
export const FEW = 8192;

/** Bitmaps whose L1 areas, each in a cluster of 2 MiB, do not match their checksums. */
function damagedAreas(count: number, entries: number, allOnes: boolean): SparseSource {
  const cluster = 2 * MIB;
  const tableAt = 2 * cluster;
  const placeOf = (at: number): number => tableAt + (1 + at) * cluster;
  const area = new Uint8Array(entries * 12);
  const table = smallEntries(count, (entry, at) =>
    placeL1(entry, placeOf(at), entries, BigInt(entries) * 2n ** 33n, 512, crc32(area) + 1),
  );
  const header = headerFor(table, count, 21, tableAt, allOnes).slice(0, 4096);
  const pieces = Array.from({ length: count }, (_, at): [number, Uint8Array] => [placeOf(at), area]);
  return sparse(placeOf(count), [0, header], [cluster, header], [tableAt, table], ...pieces);
}

/** The files. Those of {@link FEWER} can be made with fewer bitmaps than there can be. */
export const HOSTILE: Readonly<Record<string, (most?: number) => SparseSource>> = {
  "counts of a tiny file": () =>
    sparse(8192, [0, file({ header: { nbBitmaps: MOST, bitmapsOffset: 8192n, bitmapsSize: 64 * MIB } })]),
  "a tiny draft file with 65535 bitmaps": () =>
    sparse(1024, [0, file({ draft: true, header: { nbBitmaps: MOST, bitmapsOffset: 512n } })]),
  "2^50 bytes of zeros, a table of 64 MiB": () => {
    const header = {
      nbBitmaps: MOST,
      bitmapsOffset: 2n ** 49n,
      bitmapsSize: 64 * MIB,
      tableChecksum: crc32(new Uint8Array(64 * MIB)),
    };
    return sparse(2 ** 50, [0, file({ header })]);
  },
  "2^50 bytes, a draft table of 16384 empty entries": () =>
    sparse(2 ** 50, [0, file({ draft: true, header: { nbBitmaps: 16384, bitmapsOffset: 512n } }).slice(0, 32)]),
  "2^50 bytes, a draft table past 64 MiB": () =>
    sparse(
      2 ** 50,
      [0, file({ draft: true, header: { nbBitmaps: 2, bitmapsOffset: 512n } }).slice(0, 32)],
      [512 + 36, be(0xffffffff, 4)],
    ),
  "2^50 bytes, a draft table of the longest entries": () => {
    const entry = join(new Uint8Array(26), be(0xffff, 2), new Uint8Array(8), be(4096, 4));
    const entries = Array.from({ length: 60 }, (_, at): [number, Uint8Array] => [512 + at * 69672, entry]);
    return sparse(
      2 ** 50,
      [0, file({ draft: true, header: { nbBitmaps: 60, bitmapsOffset: 512n } }).slice(0, 32)],
      ...entries,
    );
  },
  "2^50 bytes, L1 areas far apart": () => {
    const count = 8192;
    const table = smallEntries(count, (entry, at) =>
      placeL1(entry, 2 ** 40 + at * 2 ** 30, 1, 65536n, 65536, crc32(ZERO_AREA)),
    );
    return withTable(table, count, 2 ** 50);
  },
  "65535 empty bitmaps": () =>
    withTable(
      smallEntries(MOST, () => undefined),
      MOST,
      0,
    ),
  "65535 bitmaps, every one in error": (most = MOST) => {
    const table = smallEntries(most, (entry, at) => {
      if (at % 2 === 0) return;
      placeL1(entry, 5, 9, 2n ** 64n - 1n, 7, 1);
      entry.setUint16(24, 0xffff);
      entry.setUint32(32, 1);
    });
    // Of four, one has every field wrong, one a name that is no UTF-8, one a name that others have, one all of this.
    for (let at = 0; at < most; at++) {
      if (at % 4 === 2) table[at * 48 + 40] = 0xff;
      if (at % 4 === 0 || at % 4 === 3) table.set(utf8("the same"), at * 48 + 40);
    }
    return withTable(table, most, 0);
  },
  "65535 good bitmaps, each with a data cluster": (most = MOST) => {
    const start = behind(new Uint8Array(most * 48));
    const cluster = bits(512, 0);
    // All clusters hold the same, so that the areas can be made without much ado.
    const at = (index: number): number => start + index * 1024;
    const areas = new Uint8Array(most * 1024);
    const view = new DataView(areas.buffer);
    const checksum = crc32(cluster);
    const table = smallEntries(most, (entry, index) => {
      view.setUint32(index * 1024 + 4, at(index) + 512);
      view.setUint32(index * 1024 + 8, checksum);
      areas.set(cluster, index * 1024 + 512);
      placeL1(entry, at(index), 1, 65536n, 65536, crc32(areas.subarray(index * 1024, index * 1024 + 16)));
    });
    return withTable(table, most, 0, [start, areas]);
  },
  "65535 bitmaps with damaged L1 areas": () => {
    const start = behind(new Uint8Array(MOST * 48));
    const table = smallEntries(MOST, (entry, at) => placeL1(entry, start + at * 512, 1, 65536n, 65536, 1));
    return withTable(table, MOST, start + MOST * 512);
  },
  "four damaged bitmaps of 2^32 bits": () => damagedAreas(4, 256, true),
  "two damaged bitmaps of 2^29 bits, without all-ones clusters": () => damagedAreas(2, 32, false),
  "1000 damaged bitmaps of 2^32 bits with L1 areas past the end": () => {
    const table = smallEntries(1000, (entry, at) => placeL1(entry, 2 ** 40 + at * 2 ** 24, 2 ** 20, 2n ** 41n, 512, 1));
    return withTable(table, 1000, 0);
  },
  "2^16 damaged data clusters": () => {
    const count = 2 ** 16;
    const data = TABLE + 512 + count * 12;
    return oneHuge((at) => data + at * 512, data + count * 512, count);
  },
  "65534 L1 areas at one place, and 2^16 entries that name it": (most = MOST) => {
    const start = behind(new Uint8Array(most * 48));
    const count = 2 ** 16;
    const area = new Uint8Array(count * 12);
    const view = new DataView(area.buffer);
    for (let at = 0; at < count; at++) view.setUint32(at * 8 + 4, start + 1);
    const table = smallEntries(most, (entry, at) => {
      if (at === 0) placeL1(entry, start + 512, count, 2n ** 37n, 512, crc32(area));
      else placeL1(entry, start, 1, 65536n, 65536, crc32(ZERO_AREA));
    });
    return withTable(table, most, 0, [start + 512, area]);
  },
  "2^18 entries of one cluster": () => oneHuge(() => 0x2000_0001, 2 ** 30, 2 ** 18),
  "2^18 entries past the end": () => oneHuge((at) => 2 ** 40 + at * 512, 0, 2 ** 18),
  "2^20 entries behind the end, one in every second block": () => oneHuge((at) => 12_595_200 + at * 8192 + 1, 0),
  "2^20 entries, ones and zeros in turn": () => oneHuge((at) => (at % 2) * 2, 0),
  "2^20 preallocations": () => oneHuge((at) => 2 ** 40 + at * 512 + 1, 2 ** 50),
  "2^32 dirty bits": () => oneHuge(() => 2, 0),
  "1000 bitmaps of 2^27 bits, zeros and ones": () => {
    const cluster = 2 * MIB;
    const tableAt = 2 * cluster;
    const count = 1000;
    const placeOf = (at: number): number => tableAt + (1 + at) * cluster;
    const areas = [0, 2].map((descriptor) => {
      const area = new Uint8Array(8 * 12);
      for (let at = 0; at < 8; at++) area[at * 8 + 7] = descriptor;
      return area;
    });
    const areaOf = (at: number): Uint8Array => areas[at % 2] ?? ZERO_AREA;
    const table = smallEntries(count, (entry, at) => placeL1(entry, placeOf(at), 8, 2n ** 36n, 512, crc32(areaOf(at))));
    const header = headerFor(table, count, 21, tableAt).slice(0, 4096);
    const pieces = Array.from({ length: count }, (_, at): [number, Uint8Array] => [placeOf(at), areaOf(at)]);
    return sparse(placeOf(count), [0, header], [cluster, header], [tableAt, table], ...pieces);
  },
  "extensions of nothing": () => {
    const many = Array.from({ length: 400 }, (_, at) => tlv(at + 1, rep(0, 0)));
    return sparse(8192, [0, file({ clusterBits: 12, extensions: join(...many) })]);
  },
  "64 MiB of records in one entry": () => {
    const extra = records(64 * MIB - 48);
    const head = new Uint8Array(40);
    const view = new DataView(head.buffer);
    view.setUint32(12, 65536);
    view.setUint16(24, 4); // frozen: a successor is looked for
    view.setUint16(26, 8);
    view.setUint32(36, extra.length);
    const table = new Uint8Array(64 * MIB);
    table.set(head);
    table.set(extra, 40);
    table.set(rep(0x61, 8), 40 + extra.length);
    return withTable(table, 1, 0);
  },
  "1000 bitmaps with 512 records each": () => {
    const extra = records(4096);
    const table = new Uint8Array(1000 * 4144);
    const view = new DataView(table.buffer);
    for (let at = 0; at < 1000; at++) {
      const start = at * 4144;
      view.setUint32(start + 12, 65536);
      view.setUint16(start + 26, 8);
      view.setUint32(start + 36, 4096);
      table.set(extra, start + 40);
      table.set(utf8(at.toString(16).padStart(8, "0")), start + 40 + 4096);
    }
    return withTable(table, 1000, 0);
  },
  "every second bit of 256 KiB dirty": () => {
    const start = TABLE + 512;
    const count = 512;
    const data = TABLE + 512 + 6144;
    const cluster = rep(0x55, 512);
    const area = new Uint8Array(count * 12);
    const view = new DataView(area.buffer);
    for (let at = 0; at < count; at++) {
      view.setUint32(at * 8 + 4, data + at * 512);
      view.setUint32(count * 8 + at * 4, crc32(cluster));
    }
    const table = smallEntries(1, (entry) => placeL1(entry, start, count, 2n ** 30n, 512, crc32(area)));
    return withTable(table, 1, 0, [start, area], [data, rep(0x55, MIB / 4)]);
  },
  "every second bit of a cluster of 2 MiB dirty": () => {
    const cluster = rep(0x55, 2 * MIB);
    const bytes = file({
      clusterBits: 21,
      bitmaps: [{ name: "b", size: 2n ** 33n, granularity: 512, clusters: [cluster] }],
    });
    return sparse(bytes.length, [0, bytes]);
  },
  "ten header areas that could be mirrors": () => {
    const areas = Array.from({ length: 10 }, (_, at): [number, Uint8Array] => [
      2 ** (12 + at),
      file({ clusterBits: 12 + at }).slice(0, 4096),
    ]);
    return sparse(2 ** 22, [0, be(0x51444200, 4)], ...areas);
  },
  "a mirror far behind, a table of 64 MiB": () => {
    const table = new Uint8Array(64 * MIB);
    const header = {
      nbBitmaps: MOST,
      bitmapsOffset: 2n ** 23n,
      bitmapsSize: table.length,
      tableChecksum: crc32(table),
    };
    return sparse(2 ** 50, [2 ** 21, file({ clusterBits: 21, header }).slice(0, 4096)]);
  },
};
