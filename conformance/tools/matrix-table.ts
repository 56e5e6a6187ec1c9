// The boundary matrix of the table entry and of what belongs to a bitmap: what each value leads to, from sections 3, 4 and 7.2.
import { accept, DIRTY, deny, type MatrixField, refuse, SAME, signed } from "./matrix-case.ts";
import { FAR } from "./matrix-header.ts";

const ENTRY = { parent: "golden-full-one", at: 8192 } as const;
const L1 = { parent: "golden-full-one", at: 8704 } as const;
const RECORDS = "matrix-parent-records";
const above = (limit: bigint) => (value: bigint) => value > limit;
const is = (one: bigint) => (value: bigint) => value === one;
const notMultipleOf = (unit: bigint) => (value: bigint) => value % unit !== 0n;

const granules = (size: bigint): bigint => (size + 65535n) / 65536n;

const ENTRIES: readonly MatrixField[] = [
  {
    ...ENTRY,
    field: "bitmap table entry.l1_table_offset",
    id: "entry-l1-table-offset",
    current: 8704n,
    values: [...FAR, ["in-header", 512n], ["in-mirror", 4096n], ["in-table", 8192n], ["end-of-file", 9728n]],
    cases: [
      deny(is(0n), "BAD_FIELD", ["QDB-TBL-014"], "there is one L1 entry, and no place for it"),
      deny(
        notMultipleOf(512n),
        "MISALIGNED",
        ["QDB-TBL-001"],
        "no multiple of 512, which is looked at before the end of the file",
      ),
      deny(above(2n ** 53n - 1n), "OUT_OF_BOUNDS", ["QDB-GEN-008", "QDB-OWN-011"], "offset + 16 is above 2^53"),
      deny(
        above(9728n - 16n),
        "OUT_OF_BOUNDS",
        ["QDB-OWN-011"],
        "the 16 bytes of the L1 area end behind the file's 9728",
      ),
      deny(is(8192n), "OVERLAP", ["QDB-OWN-013"], "the cluster is the table's"),
      deny(undefined, "OVERLAP", ["QDB-HDR-036"], "the area lies below 2H, 8192"),
    ],
  },
  {
    ...ENTRY,
    field: "bitmap table entry.l1_size",
    id: "entry-l1-size",
    current: 1n,
    values: [["two", 2n]],
    cases: [
      deny(undefined, "BAD_FIELD", ["QDB-TBL-002"], "191 bytes of bits are one cluster of 512, and so one entry"),
    ],
  },
  {
    ...ENTRY,
    field: "bitmap table entry.granularity",
    id: "entry-granularity",
    current: 65536n,
    values: [
      ["one", 1n],
      ["half-of-min", 256n],
      ["no-power-of-two", 65537n],
    ],
    cases: [
      accept(
        is(2n ** 31n),
        { bitmaps: { daily: [["0", "100000000"]] } },
        ["QDB-TBL-003", "QDB-MAP-019"],
        "one bit, which is set; what is set behind it is none",
      ),
      accept(
        is(512n),
        {
          bitmaps: {
            daily: [
              ["0", "512"],
              ["40960", "1024"],
            ],
          },
        },
        ["QDB-TBL-003", "QDB-MAP-019"],
        "524288 bytes are 1024 bits then, of which 0, 80 and 81 are set",
        { beside: [[8208, "u64", 524288, "# size"]] },
      ),
      deny(undefined, "BAD_FIELD", ["QDB-TBL-003"], "no power of two from 512 to 2^31"),
    ],
  },
  {
    ...ENTRY,
    field: "bitmap table entry.size",
    id: "entry-size",
    current: 100_000_000n,
    values: [
      ["2e32-bits", 2n ** 48n],
      ["2e32-bits-more-1", 2n ** 48n + 1n],
    ],
    cases: [
      deny(above(2n ** 63n - 1n), "BAD_FIELD", ["QDB-TBL-004"], "above 2^63-1"),
      deny(
        (size) => granules(size) > 2n ** 32n,
        "LIMIT",
        ["QDB-TBL-015", "QDB-ERR-017"],
        "more than 2^32 bits of 65536 bytes, which is looked at before l1_size",
      ),
      deny(is(0n), "BAD_FIELD", ["QDB-TBL-002"], "an empty disk has no bits, and so no L1 entries"),
      deny(undefined, "BAD_FIELD", ["QDB-TBL-002"], "so many bits need more than the one cluster of l1_size"),
    ],
  },
  {
    ...ENTRY,
    field: "bitmap table entry.flags",
    id: "entry-flags",
    current: 1n,
    values: [
      ["in-use", 2n],
      ["enabled-in-use", 3n],
      ["frozen", 4n],
      ["frozen-in-use", 6n],
    ],
    cases: [
      deny(above(7n), "UNSUPPORTED_FEATURE", ["QDB-TBL-005"], "a bit that version 1 does not define"),
      deny((flags) => (flags & 5n) === 5n, "BAD_FIELD", ["QDB-FLG-008"], "both frozen and enabled"),
      deny(
        (flags) => (flags & 4n) !== 0n,
        "BAD_FIELD",
        ["QDB-FLG-009", "QDB-ERR-017"],
        "frozen, and no successor, which is looked at before in_use",
      ),
      deny((flags) => (flags & 2n) !== 0n, "INCONSISTENT", ["QDB-FLG-002"], "in_use is set"),
      accept(
        undefined,
        { ...SAME, flags_of: { daily: [] } },
        ["QDB-TBL-005", "QDB-JSN-011"],
        "a disabled bitmap is read",
      ),
    ],
  },
  {
    ...ENTRY,
    field: "bitmap table entry.name_size",
    id: "entry-name-size",
    current: 5n,
    skip: ["max", "max-more-1"],
    cases: [
      refuse(is(0n), "BAD_FIELD", ["QDB-HDR-021"], "the entry is 40 bytes long, and 8 are left behind it"),
      accept(
        is(1n),
        { bitmaps: { d: DIRTY } },
        ["QDB-TBL-006", "QDB-GEN-012"],
        "a name of one byte; what stands behind it is padding",
      ),
      refuse(undefined, "OUT_OF_BOUNDS", ["QDB-TBL-010"], "the name ends behind the table"),
    ],
  },
  {
    ...ENTRY,
    unseal: ["l1"],
    field: "bitmap table entry.l1_checksum",
    id: "entry-l1-checksum",
    current: -1n,
    cases: [deny(undefined, "BAD_CHECKSUM", ["QDB-TBL-007"], "not the CRC-32 of the L1 area")],
  },
  {
    ...ENTRY,
    field: "bitmap table entry.reserved",
    id: "entry-reserved",
    current: 0n,
    values: [["one", 1n]],
    cases: [deny(undefined, "RESERVED_NOT_ZERO", ["QDB-TBL-008", "QDB-GEN-010"], "not 0")],
  },
  {
    ...ENTRY,
    field: "bitmap table entry.extra_data_size",
    id: "entry-extra-data-size",
    current: 0n,
    skip: ["max", "max-more-1"],
    values: [
      ["one", 1n],
      ["wraps", 2n ** 32n - 40n],
    ],
    cases: [
      refuse(
        undefined,
        "OUT_OF_BOUNDS",
        ["QDB-TBL-010", "QDB-GEN-009"],
        "the extra data ends behind the table; 40 more and the name's 5 are above 2^32 for the largest values",
      ),
    ],
  },
];

const RESERVED = 0xff00_0000_0000_01fcn;
const offsetOf = (descriptor: bigint): bigint => descriptor & 0x00ff_ffff_ffff_fe00n;

/** What a descriptor leads to in golden-full-one, cluster_checksum being 0. */
const DESCRIPTOR: MatrixField["cases"] = [
  deny((bits) => (bits & RESERVED) !== 0n, "RESERVED_NOT_ZERO", ["QDB-MAP-012"], "a reserved bit is set"),
  deny(
    (bits) => (bits & 2n) !== 0n,
    "RESERVED_NOT_ZERO",
    ["QDB-MAP-011"],
    "bit 1 is set though incompatible bit 0 is not",
  ),
  accept(is(0n), { bitmaps: { daily: [] } }, ["QDB-MAP-015", "QDB-MAP-003"], "unallocated: zeros"),
  accept(is(1n), { bitmaps: { daily: [] } }, ["QDB-MAP-010", "QDB-MAP-003"], "zeros without a preallocation"),
  deny(
    (bits) => offsetOf(bits) >= 2n ** 53n,
    "OUT_OF_BOUNDS",
    ["QDB-GEN-008", "QDB-OWN-010"],
    "offset + 512 is above 2^53, for a preallocation too",
  ),
  deny(
    (bits) => offsetOf(bits) + 512n > 9728n,
    "OUT_OF_BOUNDS",
    ["QDB-OWN-010"],
    "the cluster ends behind the file's 9728 bytes",
  ),
  deny((bits) => offsetOf(bits) < 8192n, "OVERLAP", ["QDB-HDR-036"], "the cluster lies below 2H, 8192"),
  deny(
    (bits) => offsetOf(bits) < 9216n,
    "OVERLAP",
    ["QDB-OWN-013"],
    "the cluster is the table's, or the L1 area's own",
  ),
  accept(undefined, { bitmaps: { daily: [] } }, ["QDB-MAP-010"], "preallocated: zeros, whatever stands there"),
];

const MAPPING: readonly MatrixField[] = [
  {
    ...L1,
    unseal: ["data"],
    field: "L1 entry.descriptor",
    id: "l1-descriptor",
    current: 9216n,
    values: [
      ["one", 1n],
      ["two", 2n],
      ["bit-2", 4n],
      ["bit-8", 256n],
      ["in-header", 512n],
      ["in-mirror", 4096n],
      ["in-table", 8192n],
      ["in-own-l1-area", 8704n],
      ["preallocated", 9217n],
      ["end-of-file", 9728n],
      ["bit-55", 2n ** 55n],
      ["largest-offset", 2n ** 56n - 512n],
      ["bit-56", 2n ** 56n],
    ],
    cases: DESCRIPTOR,
  },
  {
    ...L1,
    at: 8712,
    unseal: ["data"],
    field: "L1 checksum.cluster_checksum",
    id: "l1-cluster-checksum",
    current: -1n,
    cases: [deny(undefined, "BAD_CHECKSUM", ["QDB-MAP-002"], "not the CRC-32 of the data cluster")],
  },
  {
    parent: "golden-draft-one",
    at: 1024,
    field: "L1 entry.descriptor",
    id: "draft-l1-descriptor",
    current: 1536n,
    values: [
      ["one", 1n],
      ["two", 2n],
      ["preallocated", 1537n],
      ["end-of-file", 2048n],
    ],
    cases: [
      deny((bits) => (bits & RESERVED) !== 0n, "RESERVED_NOT_ZERO", ["QDB-MAP-012"], "a reserved bit is set"),
      deny((bits) => (bits & 2n) !== 0n, "RESERVED_NOT_ZERO", ["QDB-MAP-011"], "draft form has no clusters of ones"),
      deny(
        (bits) => offsetOf(bits) + 512n > 2048n,
        "OUT_OF_BOUNDS",
        ["QDB-OWN-010"],
        "the cluster ends behind the file's 2048 bytes",
      ),
      accept(undefined, { bitmaps: { daily: [] } }, ["QDB-MAP-010", "QDB-MAP-015"], "zeros, preallocated or not"),
    ],
  },
  ...(["l1_checksum", "reserved"] as const).map(
    (name): MatrixField => ({
      parent: "golden-draft-one",
      at: 512,
      field: `bitmap table entry.${name}`,
      id: `draft-${name.replace("_", "-")}`,
      current: 0n,
      values: [["one", 1n]],
      cases: [deny(undefined, "RESERVED_NOT_ZERO", ["QDB-TBL-017"], "these bytes are zero in draft form")],
    }),
  ),
];

const STAMP = { type: "0x00000002", length: "100000000", mtime: "1416787200000000000", file: "1234567" };
const CREATED = { type: "0x00000005", created: "1416787200000000000" };

const TIMES: readonly MatrixField[] = [
  ...(
    [
      ["length", 100_000_000n, "QDB-REC-010"],
      ["mtime", 1_416_787_200_000_000_000n, "QDB-REC-011"],
      ["file", 1_234_567n, "QDB-REC-012"],
    ] as const
  ).map(
    ([name, current, rule]): MatrixField => ({
      parent: RECORDS,
      at: 8240,
      field: `disk stamp.${name}`,
      id: `disk-stamp-${name}`,
      current,
      cases: [
        accept(
          undefined,
          (value) => ({
            ...SAME,
            records: { daily: [{ ...STAMP, [name]: name === "mtime" ? signed(value) : `${value}` }, CREATED] },
          }),
          [rule, "QDB-JSN-002", "QDB-JSN-015"],
          name === "mtime" ? "a signed number" : "an unsigned number",
        ),
      ],
    }),
  ),
  {
    parent: RECORDS,
    at: 8272,
    field: "created.ns",
    id: "created-ns",
    current: 1_416_787_200_000_000_000n,
    cases: [
      accept(
        undefined,
        (value) => ({ ...SAME, records: { daily: [STAMP, { ...CREATED, created: signed(value) }] } }),
        ["QDB-REC-005", "QDB-JSN-002", "QDB-JSN-015"],
        "a signed number",
      ),
    ],
  },
];

/** Every numeric field of the table entry, of the L1 area, and of the records that hold numbers. */
export const TABLE_FIELDS: readonly MatrixField[] = [...ENTRIES, ...MAPPING, ...TIMES];
