// The boundary matrix of the table entry: what each value leads to, from sections 3 and 7.2.
import { accept, DIRTY, deny, type MatrixField, refuse, SAME } from "./matrix-case.ts";
import { FAR } from "./matrix-header.ts";

const ENTRY = { parent: "golden-full-one", at: 8192 } as const;
const above = (limit: bigint) => (value: bigint) => value > limit;
const is = (one: bigint) => (value: bigint) => value === one;
const notMultipleOf = (unit: bigint) => (value: bigint) => value % unit !== 0n;

const granules = (size: bigint): bigint => (size + 65535n) / 65536n;

/** Every numeric field of the table entry. */
export const ENTRY_FIELDS: readonly MatrixField[] = [
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
      ["eight", 8n],
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
