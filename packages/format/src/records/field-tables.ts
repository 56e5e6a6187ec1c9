// The field tables with what each field means and the id of its rule, for the tools that write spec/layout.json and compare the byte tables
// of spec/qdb.md. A program that reads files does not need this text, so that only tools import it. This entry point is not published.
import { type Fields, type Struct, specName } from "../layout/struct.ts";
import * as entry from "./bitmap-entry.ts";
import * as extensions from "./extensions.ts";
import * as extraData from "./extra-data.ts";
import * as header from "./header.ts";
import * as l1 from "./l1.ts";
import * as tlv from "./tlv.ts";

export { specName } from "../layout/struct.ts";

/** Meaning, with unit, and id of the rule in `spec/qdb.md`, of each field of a structure. The compiler refuses a field without them. */
type Prose<F extends Fields> = { readonly [K in keyof F]: readonly [meaning: string, rule: string] };

/** A structure with the prose of its fields. */
export interface DocumentedStruct {
  readonly name: string;
  /** Length in bytes. */
  readonly size: number;
  readonly fields: readonly DocumentedField[];
}

/** A field: its name in the spec, offset and size in bytes, name of its type, meaning with unit, and id of its rule. */
export interface DocumentedField {
  readonly name: string;
  readonly offset: number;
  readonly size: number;
  readonly type: string;
  readonly meaning: string;
  readonly rule: string;
}

function documented<F extends Fields>({ name, size, fields }: Struct<F>, prose: Prose<NoInfer<F>>): DocumentedStruct {
  const rows = Object.entries(fields).map(([key, [offset, type]]): DocumentedField => {
    const [meaning, rule] = prose[key as keyof F];
    return { name: specName(key), offset, size: type.size, type: type.name, meaning, rule };
  });
  return { name, size, fields: rows };
}

const DRAFT_HEADER_PROSE: Prose<typeof header.DRAFT_HEADER.fields> = {
  magic: ["51 44 42 00 (QDB and a zero byte)", "QDB-HDR-001"],
  version: ["1", "QDB-HDR-002"],
  clusterBits: ["log2 of the cluster size in bytes, 9..21", "QDB-HDR-003"],
  nbBitmaps: ["entries of the bitmap table, 0..65535", "QDB-HDR-004"],
  bitmapsOffset: ["file offset of the bitmap table in bytes, cluster-aligned", "QDB-HDR-005"],
  headerLength: ["length of this structure in bytes, without extensions", "QDB-HDR-006"],
};

/** The header of the draft form: spec §2. */
export const DRAFT_HEADER: DocumentedStruct = documented(header.DRAFT_HEADER, DRAFT_HEADER_PROSE);

/** The header of the full form: spec §2. */
export const HEADER: DocumentedStruct = documented(header.HEADER, {
  ...DRAFT_HEADER_PROSE,
  bitmapsSize: ["length of the bitmap table in bytes", "QDB-HDR-007"],
  incompatibleFeatures: ["bits a reader must know", "QDB-HDR-008"],
  compatibleFeatures: ["bits that are harmless to who does not know them", "QDB-HDR-009"],
  autoclearFeatures: ["bits that a writer clears when it does not know them", "QDB-HDR-010"],
  generation: ["1 at creation, one more at every commit", "QDB-HDR-011"],
  tableChecksum: ["CRC-32 of the bitmap table", "QDB-HDR-012"],
  headerChecksum: ["CRC-32 of the header area, these four bytes taken as zero", "QDB-HDR-013"],
  writerId: ["random, new each time the file is opened for writing", "QDB-HDR-014"],
  fileId: ["UUID, set at creation", "QDB-HDR-015"],
});

/** The head of an extension or a record: spec §2, §3. */
export const TLV_HEAD: DocumentedStruct = documented(tlv.TLV_HEAD, {
  type: ["what the data is; 0 ends the header extensions", "QDB-EXT-001"],
  length: ["length of the data in bytes, without padding", "QDB-EXT-002"],
});

/** An entry of the feature name table: spec §2. */
export const FEATURE_NAME: DocumentedStruct = documented(extensions.FEATURE_NAME, {
  kind: ["0 incompatible, 1 compatible, 2 autoclear", "QDB-EXT-010"],
  bit: ["number of the bit, 0..63", "QDB-EXT-011"],
  name: ["UTF-8, zero padded", "QDB-EXT-012"],
});

/** An entry of the extension name table: spec §2. */
export const EXTENSION_NAME: DocumentedStruct = documented(extensions.EXTENSION_NAME, {
  type: ["type of an extension", "QDB-EXT-020"],
  name: ["UTF-8, zero padded", "QDB-EXT-021"],
});

/** An entry of the bitmap table: spec §3. */
export const BITMAP_ENTRY: DocumentedStruct = documented(entry.BITMAP_ENTRY, {
  l1TableOffset: ["file offset of the L1 area in bytes, cluster-aligned; 0 when l1_size is 0", "QDB-TBL-001"],
  l1Size: ["number of L1 entries", "QDB-TBL-002"],
  granularity: ["bytes a bit, a power of two, 512..2^31", "QDB-TBL-003"],
  size: ["length of the tracked disk in bytes, 0..2^63-1", "QDB-TBL-004"],
  flags: ["bit 0 enabled, bit 1 in_use, bit 2 frozen", "QDB-TBL-005"],
  nameSize: ["length of the name in bytes, 1..1023", "QDB-TBL-006"],
  l1Checksum: ["full form: CRC-32 of the L1 area; draft form: 0", "QDB-TBL-007"],
  reserved: ["0", "QDB-TBL-008"],
  extraDataSize: ["length of the extra data in bytes, 0..4096", "QDB-TBL-009"],
});

/** The data of record 2: spec §3. */
export const DISK_STAMP: DocumentedStruct = documented(extraData.DISK_STAMP, {
  length: ["length of the disk in bytes", "QDB-REC-010"],
  mtime: ["last modification in ns since the epoch; 0 where the disk is no regular file", "QDB-REC-011"],
  file: ["file id (inode); 0 where the disk is no regular file", "QDB-REC-012"],
});

/** The data of record 5: spec §3. */
export const CREATED: DocumentedStruct = documented(extraData.CREATED, {
  ns: ["creation in ns since the epoch", "QDB-REC-005"],
});

/** The data of record 9: spec §3. */
export const SESSION: DocumentedStruct = documented(extraData.SESSION, {
  session: ["UUID of the session", "QDB-REC-036"],
  file: ["file id (inode) of the shell; not 0", "QDB-REC-037"],
});

/** An L1 entry: spec §4. */
export const L1_ENTRY: DocumentedStruct = documented(l1.L1_ENTRY, {
  descriptor: ["where the data cluster is, or that it reads as zeros or ones", "QDB-MAP-001"],
});

/** The checksum of a data cluster: spec §4. */
export const L1_CHECKSUM: DocumentedStruct = documented(l1.L1_CHECKSUM, {
  clusterChecksum: ["CRC-32 of the whole data cluster; 0 where none is read", "QDB-MAP-002"],
});

/** The bit fields of a descriptor: first bit, last bit, name, meaning, rule. */
export const DESCRIPTOR_BITS = [
  [0, 0, "zeros", "reads as zeros; the offset, if any, is a preallocation", "QDB-MAP-010"],
  [1, 1, "ones", "reads as ones; only with incompatible bit 0, and then bit 0 and the offset are 0", "QDB-MAP-011"],
  [2, 8, "reserved", "0", "QDB-MAP-012"],
  [
    9,
    55,
    "offset",
    "file offset of the data cluster, cluster-aligned; 0 with bits 0 and 1 clear: unallocated",
    "QDB-MAP-013",
  ],
  [56, 63, "reserved", "0", "QDB-MAP-012"],
] as const;
