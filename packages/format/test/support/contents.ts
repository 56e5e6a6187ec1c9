import { Bitmap, bytesSource } from "@qdb/format";
import {
  type BitmapContents,
  bitmapPlan,
  type FileContents,
  FLAG,
  loadMaps,
  type QdbIndex,
  RECORD,
  readIndex,
  runSync,
  type Tlv,
} from "@qdb/format/container";
import { fc } from "./seed.ts";

/** Type of the feature name table, which a writer derives. */
const FEATURE_TABLE = 0x6803f857;
const EXTENSION_NAMES = 0x51444e4d;

export function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** Names that have tripped programs: keys of objects, a BOM, the same letter composed and decomposed, the longest one. */
const NAMES = [
  "__proto__",
  "constructor",
  "toString",
  "\ufeffbom",
  "bom",
  "é",
  "e\u0301",
  "😀",
  "hex:00",
  " ",
  "\u202eevil",
  "\u001b[31m",
  "\n",
  "x".repeat(1023),
  "ß".repeat(511),
];

const names = fc
  .oneof(
    { weight: 1, arbitrary: fc.constantFrom(...NAMES) },
    { weight: 2, arbitrary: fc.string({ unit: "binary", minLength: 1, maxLength: 12 }) },
    { weight: 1, arbitrary: fc.string({ minLength: 1, maxLength: 40 }) },
  )
  .filter((name) => !name.includes("\0"));

/** Types that version 1 does not define. */
const unknownTypes = fc.oneof(fc.constantFrom(7, 9, 0xffffffff, 0x51444200), fc.integer({ min: 10, max: 0x50000000 }));

const uuids = fc.uint8Array({ minLength: 16, maxLength: 16 });

function record(type: number, data: fc.Arbitrary<Uint8Array>): fc.Arbitrary<Tlv> {
  return data.map((bytes) => ({ type, data: bytes }));
}

const anyBytes = fc.uint8Array({ maxLength: 20 });
const anyText = fc
  .oneof(fc.string({ unit: "binary", maxLength: 12 }), fc.constantFrom("", "drive0", "\0", "/dev/päivä"))
  .map(utf8);

/** Records of every known kind but the successor, unknown ones, and known ones that break their own rule. */
const records = fc.uniqueArray(
  fc.oneof(
    record(RECORD.disk, fc.oneof(anyText, anyBytes)),
    record(RECORD.stamp, fc.oneof(fc.uint8Array({ minLength: 24, maxLength: 24 }), anyBytes)),
    record(RECORD.id, fc.oneof(uuids, anyBytes)),
    record(RECORD.parent, uuids),
    record(RECORD.created, fc.oneof(fc.uint8Array({ minLength: 8, maxLength: 8 }), anyBytes)),
    record(RECORD.comment, fc.oneof(anyText, fc.constant(utf8("long ".repeat(300))))),
    unknownTypes.chain((type) => record(type, anyBytes)),
  ),
  { selector: ({ type }) => type, maxLength: 5 },
);

/** An extension name table that keeps its rules: entries of u32 type and 44 bytes of name. */
const extensionNames = fc
  .array(fc.tuple(unknownTypes, fc.constantFrom("example", "päivä", "x".repeat(44))), { maxLength: 2 })
  .map((entries) => {
    const data = new Uint8Array(entries.length * 48);
    entries.forEach(([type, name], at) => {
      new DataView(data.buffer).setUint32(at * 48, type);
      data.set(utf8(name), at * 48 + 4);
    });
    return { type: EXTENSION_NAMES, data };
  });

const extensions = fc.uniqueArray(
  fc.oneof(
    extensionNames,
    record(EXTENSION_NAMES, anyBytes),
    unknownTypes.chain((type) => record(type, fc.uint8Array({ maxLength: 40 }))),
  ),
  { selector: ({ type }) => type, maxLength: 3 },
);

/** Bits over a few clusters: stretches of ones that begin and end at cluster edges, in their middle, anywhere; or all of them. */
function bitmaps(clusterBits: number, fixedSize?: bigint): fc.Arbitrary<Bitmap> {
  const perCluster = 8 * 2 ** clusterBits;
  const size = fc.oneof(
    { weight: 1, arbitrary: fc.constant(0) },
    { weight: 3, arbitrary: fc.integer({ min: 1, max: 200 }) },
    {
      weight: 5,
      arbitrary: fc
        .tuple(fc.integer({ min: 0, max: 3 }), fc.integer({ min: -9, max: 9 }), fc.integer({ min: 0, max: perCluster }))
        .map(([clusters, near, more]) => Math.max(1, clusters * perCluster + (more % 2 === 0 ? near : more))),
    },
  );
  const shape = fc
    .tuple(size, fc.integer({ min: 9, max: 31 }), fc.bigInt({ min: 0n, max: 2n ** 32n }))
    .map(([bits, power, short]) => ({
      size: bits === 0 ? 0n : BigInt(bits) * 2n ** BigInt(power) - (short % 2n ** BigInt(power)),
      granularity: 2 ** power,
    }))
    .map((made) =>
      fixedSize === undefined ? made : { size: fixedSize, granularity: coarseFor(fixedSize, perCluster) },
    );
  const edge = fc.oneof(
    fc.integer({ min: 0, max: 4 }).map((cluster) => cluster * perCluster),
    fc.integer({ min: 0, max: 4 * perCluster }),
    fc.integer({ min: 0, max: 300 }),
  );
  const stretches = fc.array(fc.tuple(edge, edge), { maxLength: 5 });
  return fc.tuple(shape, stretches, fc.nat(9)).map(([made, list, kind]) => {
    const bitmap = kind === 0 ? Bitmap.dirty(made) : Bitmap.clean(made);
    for (const [a, b] of list) {
      const first = Math.min(a, b, bitmap.bitCount);
      bitmap.markBits({ first, end: Math.min(bitmap.bitCount, Math.max(a, b)) });
    }
    return bitmap;
  });
}

function coarseFor(size: bigint, perCluster: number): number {
  let granularity = 512;
  while (granularity < 2 ** 31 && size / BigInt(granularity) > BigInt(2 * perCluster)) granularity *= 2;
  return granularity;
}

const flags = fc.constantFrom(0, FLAG.enabled, FLAG.in_use, FLAG.enabled | FLAG.in_use);

/** One bitmap, or a frozen one and its successor, in either order. */
function family(clusterBits: number): fc.Arbitrary<BitmapContents[]> {
  const one = fc
    .record({ name: names, flags, extraData: records, bits: bitmaps(clusterBits) })
    .map(({ name, ...rest }) => ({ ...rest, nameBytes: utf8(name) }));
  const pair = one.chain((successor) =>
    fc
      .record({
        name: names,
        inUse: fc.boolean(),
        extraData: records,
        at: fc.nat(5),
        first: fc.boolean(),
        bits: bitmaps(clusterBits, successor.bits.size),
      })
      .map(({ name, inUse, extraData, at, first, bits }) => {
        const named = { type: RECORD.successor, data: successor.nameBytes };
        const frozen = {
          nameBytes: utf8(name),
          flags: FLAG.frozen | (inUse ? FLAG.in_use : 0),
          extraData: [...extraData.slice(0, at), named, ...extraData.slice(at)],
          bits,
        };
        return first ? [frozen, successor] : [successor, frozen];
      }),
  );
  return fc.oneof({ weight: 4, arbitrary: one.map((only) => [only]) }, { weight: 1, arbitrary: pair });
}

/** Everything that a file can say, in either form. */
export const fileContents: fc.Arbitrary<FileContents> = fc
  .record({ form: fc.constantFrom("full" as const, "draft" as const), clusterBits: fc.integer({ min: 9, max: 16 }) })
  .chain(({ form, clusterBits }) =>
    fc.record({
      form: fc.constant(form),
      clusterBits: fc.constant(clusterBits),
      fileId: uuids,
      writerId: uuids,
      allOnes: form === "full" ? fc.boolean() : fc.constant(false),
      extensions,
      bitmaps: fc
        .array(family(clusterBits), { maxLength: 3 })
        .map((list) => list.flat())
        .filter(
          (list) => new Set(list.map(({ nameBytes }) => Buffer.from(nameBytes).toString("hex"))).size === list.length,
        ),
    }),
  );

/** What was read of a file. */
export interface ReadBack {
  readonly index: QdbIndex;
  readonly contents: FileContents;
}

/** Reads a whole file and gives what a writer needs to write it again: bits of collecting bitmaps too, which readers refuse. */
export function readBack(bytes: Uint8Array): ReadBack {
  const source = bytesSource(bytes);
  const index = runSync(readIndex(bytes.length), source);
  const mapped = runSync(loadMaps(index, index.table.entries), source);
  const bitmaps = mapped.map((one) => {
    const { entry, map } = one;
    const problem = one.findProblem();
    if (map === undefined) throw new Error(`no map: ${problem?.message}`);
    if (problem !== undefined && problem.code !== "INCONSISTENT") throw new Error(problem.message);
    const row = entry.parseRecords();
    if (row === undefined) throw new Error("no row of records");
    return {
      nameBytes: entry.nameBytes,
      flags: entry.decodeFields().flags,
      extraData: row,
      bits: runSync(bitmapPlan(map), source),
    };
  });
  const contents: FileContents = {
    form: index.form,
    clusterBits: index.header.clusterBits,
    fileId: index.header.fileId,
    writerId: index.header.writerId,
    allOnes: index.allOnes,
    extensions: index.extensions.filter(({ type }) => type !== FEATURE_TABLE),
    bitmaps,
  };
  return { index, contents };
}

/** A small file to try things on: clusters of 512 bytes, all-ones clusters on, one bitmap a shape. */
export function plainContents(bitmaps: readonly Bitmap[], over: Partial<FileContents> = {}): FileContents {
  return {
    form: "full",
    clusterBits: 9,
    fileId: new Uint8Array(16).fill(0xf1),
    writerId: new Uint8Array(16).fill(0x31),
    allOnes: true,
    extensions: [],
    bitmaps: bitmaps.map((bits, at) => ({ nameBytes: utf8(`b${at}`), flags: 0, extraData: [], bits })),
    ...over,
  };
}
