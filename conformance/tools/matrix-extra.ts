// Vectors of the boundary matrix that need a file of their own: the parent of the extension and record rows, and the largest
// names, extra data and disks.
import type { Part } from "@qdb/conformance/authoring";
import { SAME } from "./matrix-case.ts";
import type { Source } from "./sources.ts";

const TIME = "1416787200000000000";

/** The seals of golden-full-one if its table and L1 area have another offset and length. */
function seals(table: number, tableLength: number, l1: number, l1Length: number, data: boolean): readonly Part[] {
  return [
    ...(data ? [[8712, "crc32", 9216, 512, "# data"] satisfies Part] : []),
    [table + 28, "crc32", l1, l1Length, "# l1"],
    [64, "crc32", table, tableLength, "# table"],
    [68, "crc32", 0, 4096, "# header"],
    [4096, "copy", 0, 4096, "# mirror"],
  ];
}

/** Moves the table behind the data, where it has room to grow. */
const MOVED: readonly Part[] = [
  [16, "u64", 9728, "# bitmaps_offset"],
  [9728, "copy", 8192, 40, "# the entry"],
];

const LONGEST_NAME = "a".repeat(1023);

export const EXTRA_VECTORS: readonly Source[] = [
  {
    id: "matrix-parent-records",
    title: "A full file with an unknown extension, and a bitmap with a disk stamp and the time of its creation",
    kind: "read",
    proves: [
      "QDB-EXT-003",
      "QDB-EXT-013",
      "QDB-REC-001",
      "QDB-REC-005",
      "QDB-REC-010",
      "QDB-REC-011",
      "QDB-REC-012",
      "QDB-REC-015",
      "QDB-REC-022",
      "QDB-TBL-011",
      "QDB-TBL-012",
    ],
    why: "The entry is 40 bytes, 32 of the first record, 16 of the second, 5 of the name and 3 of padding.",
    parent: "golden-full-one",
    patch: [
      [28, "u32", 96, "# bitmaps_size"],
      [104, "u32", 0x0badcafe, "# type of the extension"],
      [108, "u32", 5, "# its length; data and padding are zeros"],
      [8228, "u32", 48, "# extra_data_size"],
      [8232, "u32", 2, "# disk stamp"],
      [8236, "u32", 24],
      [8240, "u64", 100_000_000, "# length"],
      [8248, "u64", TIME, "# mtime"],
      [8256, "u64", 1_234_567, "# file"],
      [8264, "u32", 5, "# created"],
      [8268, "u32", 8],
      [8272, "u64", TIME, "# ns"],
      [8280, "text", "daily", "# name, then 3 bytes of padding"],
    ],
    seals: seals(8192, 96, 8704, 16, true),
    expect: {
      ...SAME,
      extensions: [{ type: "0x0badcafe", data: "0000000000" }],
      records: {
        daily: [
          { type: "0x00000002", length: "100000000", mtime: TIME, file: "1234567" },
          { type: "0x00000005", created: TIME },
        ],
      },
    },
  },
  {
    id: "matrix-entry-name-size-max",
    title: "Name_size of the bitmap table entry is 1023",
    kind: "read",
    proves: ["QDB-TBL-006", "QDB-TBL-010", "QDB-TBL-012"],
    why: "40 bytes and 1023 of name are 1064 with padding; the table stands behind the data.",
    parent: "golden-full-one",
    length: 11264,
    patch: [
      ...MOVED,
      [28, "u32", 1064, "# bitmaps_size"],
      [9754, "u16", 1023, "# name_size"],
      [9768, "fill", 97, 1023, "# name"],
    ],
    seals: seals(9728, 1064, 8704, 16, true),
    expect: { bitmaps: { [LONGEST_NAME]: SAME.bitmaps?.daily ?? [] } },
  },
  {
    id: "matrix-entry-name-size-max-more-1",
    title: "Name_size of the bitmap table entry is 1024",
    kind: "read",
    breaks: ["QDB-TBL-006"],
    why: "Above 1023; the entry is as long as with 1023.",
    parent: "matrix-entry-name-size-max",
    patch: [
      [9754, "u16", 1024, "# name_size"],
      [10791, "text", "a", "# one more letter"],
    ],
    expect: { bitmaps: { [`${LONGEST_NAME}a`]: "BAD_FIELD" } },
  },
  {
    id: "matrix-entry-extra-data-size-max",
    title: "Extra_data_size of the bitmap table entry is 4096",
    kind: "read",
    proves: ["QDB-TBL-009", "QDB-TBL-011", "QDB-REC-004"],
    why: "One record of an unknown type with 4088 bytes; the entry has 4144, and the table stands behind the data.",
    parent: "golden-full-one",
    length: 14336,
    patch: [
      ...MOVED,
      [28, "u32", 4144, "# bitmaps_size"],
      [9764, "u32", 4096, "# extra_data_size"],
      [9768, "u32", 0x0badcafe, "# type of the record"],
      [9772, "u32", 4088, "# its length"],
      [13864, "text", "daily", "# name"],
    ],
    seals: seals(9728, 4144, 8704, 16, true),
    expect: { ...SAME, records: { daily: [{ type: "0x0badcafe", data: "00".repeat(4088) }] } },
  },
  {
    id: "matrix-entry-extra-data-size-max-more-1",
    title: "Extra_data_size of the bitmap table entry is 4097",
    kind: "read",
    breaks: ["QDB-TBL-009"],
    why: "Above 4096; the name stands a byte later, and the entry is as long as before.",
    parent: "matrix-entry-extra-data-size-max",
    patch: [
      [9764, "u32", 4097, "# extra_data_size"],
      [13865, "text", "daily", "# name"],
    ],
    expect: { bitmaps: { daily: "BAD_FIELD" } },
  },
  {
    id: "matrix-disk-past-2e53",
    title: "Size of the bitmap table entry is 2^53 + 1, and only its last byte is dirty",
    kind: "read",
    proves: ["QDB-TBL-002", "QDB-TBL-004", "QDB-GEN-002", "QDB-MAP-016"],
    why: "At 2^31 these are 2^22 + 1 bits, 524289 bytes, 1025 clusters, of which the last is all ones, and has one bit: that of byte 2^53.",
    flags: ["u64-as-double"],
    parent: "golden-full-one",
    length: 21504,
    patch: [
      [32, "u64", 1, "# incompatible_features: all-ones clusters"],
      [8200, "u32", 1025, "# l1_size"],
      [8204, "u32", 2147483648, "# granularity"],
      [8208, "u64", "9007199254740993", "# size"],
      [8704, "u64", 0, "# descriptor 0"],
      [9216, "fill", 0, 512, "# what was data"],
      [16896, "u64", 2, "# descriptor 1024: ones"],
    ],
    seals: seals(8192, 48, 8704, 12304, false),
    expect: { bitmaps: { daily: [["9007199254740992", "1"]] } },
  },
  {
    id: "matrix-disk-of-2e63-less-1",
    title: "Size of the bitmap table entry is 2^63 - 1, with 2^32 bits, the last 2^24 of them dirty",
    kind: "read",
    proves: ["QDB-TBL-004", "QDB-TBL-015", "QDB-GEN-004", "QDB-GEN-005", "QDB-MAP-016", "QDB-JSN-025"],
    why: "At 2^31 these are 2^32 bits, 2^29 bytes, 256 clusters of 2 MiB. Each stands for 2^55 bytes: the last begins at 255 * 2^55, and the end of the disk cuts its last byte.",
    flags: ["u64-as-double"],
    recipe: {
      length: 8388608,
      parts: [
        [0, "hex", "51 44 42 00", "# magic"],
        [4, "u32", 1, "# version"],
        [8, "u32", 21, "# cluster_bits: H is 2 MiB"],
        [12, "u32", 1, "# nb_bitmaps"],
        [16, "u64", 4194304, "# bitmaps_offset: 2H"],
        [24, "u32", 104, "# header_length"],
        [28, "u32", 48, "# bitmaps_size"],
        [32, "u64", 1, "# incompatible_features: all-ones clusters"],
        [56, "u64", 1, "# generation"],
        [72, "hex", "5f0c9a51 7d1e 4a38 9b62 0e4d8c21f7a6", "# writer_id"],
        [88, "hex", "c0a1e5d2 3b74 4f19 8a6d 92e07b15c348", "# file_id"],
        [4194304, "u64", 6291456, "# l1_table_offset"],
        [4194312, "u32", 256, "# l1_size"],
        [4194316, "u32", 2147483648, "# granularity"],
        [4194320, "u64", "9223372036854775807", "# size"],
        [4194328, "u16", 1, "# flags: enabled"],
        [4194330, "u16", 5, "# name_size"],
        [4194344, "text", "daily"],
        [6293496, "u64", 2, "# descriptor 255: ones"],
      ],
      seals: [
        [4194332, "crc32", 6291456, 3072, "# l1"],
        [64, "crc32", 4194304, 48, "# table"],
        [68, "crc32", 0, 4096, "# header"],
        [2097152, "copy", 0, 4096, "# mirror"],
      ],
    },
    expect: { bitmaps: { daily: [["9187343239835811840", "36028797018963967"]] } },
  },
];
