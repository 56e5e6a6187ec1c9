// The boundary matrix of the header: what each value leads to, from the text of sections 2 and 7.2.
import { accept, type MatrixField, refuse, SAME, type Value, word } from "./matrix-case.ts";

const FULL = { parent: "golden-full-one", at: 0 } as const;
const above = (limit: bigint) => (value: bigint) => value > limit;
const below = (limit: bigint) => (value: bigint) => value < limit;
const is = (one: bigint) => (value: bigint) => value === one;
const notMultipleOf = (unit: bigint) => (value: bigint) => value % unit !== 0n;

/** The seals of golden-full-one, the table being so long. */
function tableOf(length: number): { readonly seals: NonNullable<MatrixField["seals"]> } {
  return {
    seals: [
      [8712, "crc32", 9216, 512, "# data"],
      [8220, "crc32", 8704, 16, "# l1"],
      [64, "crc32", 8192, length, "# table"],
      [68, "crc32", 0, 4096, "# header"],
      [4096, "copy", 0, 4096, "# mirror"],
    ],
  };
}

/** Offsets of which none is a place for a structure, in files that end at 9728. */
export const FAR: readonly Value[] = [
  ["one", 1n],
  ["largest-aligned", 2n ** 64n - 512n],
];

const POSTED: readonly MatrixField[] = [
  {
    ...FULL,
    field: "header.magic",
    id: "header-magic",
    current: 0x51444200n,
    cases: [
      refuse(
        undefined,
        "BAD_MAGIC",
        ["QDB-HDR-001", "QDB-OPN-009"],
        "the mirror has the same bad magic, so there is no candidate",
      ),
    ],
  },
  {
    ...FULL,
    field: "header.version",
    id: "header-version",
    current: 1n,
    cases: [
      refuse(
        undefined,
        "UNSUPPORTED_VERSION",
        ["QDB-HDR-002", "QDB-OPN-004"],
        "magic and checksum are good, so the version is looked at, first of all",
      ),
    ],
  },
  {
    parent: "golden-full-empty",
    at: 0,
    field: "header.cluster_bits",
    id: "header-cluster-bits",
    current: 9n,
    cases: [
      refuse(below(9n), "BAD_FIELD", ["QDB-HDR-003"], "clusters have 512 bytes at least"),
      refuse(above(21n), "BAD_FIELD", ["QDB-HDR-003"], "clusters have 2 MiB at most"),
      accept(
        undefined,
        { bitmaps: {} },
        ["QDB-HDR-003", "QDB-OPN-015"],
        "the mirror is missing where H has moved, which is no damage",
      ),
    ],
  },
  {
    ...FULL,
    field: "header.nb_bitmaps",
    id: "header-nb-bitmaps",
    current: 1n,
    values: [["two", 2n]],
    cases: [
      refuse(is(0n), "BAD_FIELD", ["QDB-HDR-018"], "bitmaps_offset is not 0 though there are no bitmaps"),
      refuse(above(65535n), "LIMIT", ["QDB-HDR-004"], "more than 65535 bitmaps"),
      refuse(
        undefined,
        "OUT_OF_BOUNDS",
        ["QDB-TBL-010"],
        "the second entry runs past bitmaps_size; so many bitmaps are allowed",
      ),
    ],
  },
  {
    ...FULL,
    field: "header.bitmaps_offset",
    id: "header-bitmaps-offset",
    current: 8192n,
    values: [...FAR, ["in-header", 512n], ["in-mirror", 7680n], ["end-of-file", 9728n]],
    cases: [
      refuse(is(0n), "BAD_FIELD", ["QDB-HDR-018"], "bitmaps_offset is 0 though there is a bitmap"),
      refuse(
        notMultipleOf(512n),
        "MISALIGNED",
        ["QDB-HDR-005", "QDB-ERR-012"],
        "no multiple of 512, which is looked at before the end of the file",
      ),
      refuse(above(2n ** 53n - 1n), "OUT_OF_BOUNDS", ["QDB-GEN-008", "QDB-OWN-011"], "offset + 48 is above 2^53"),
      refuse(
        above(9728n - 48n),
        "OUT_OF_BOUNDS",
        ["QDB-OWN-011"],
        "the 48 bytes of the table end behind the file's 9728",
      ),
      refuse(undefined, "OVERLAP", ["QDB-HDR-036", "QDB-OWN-001"], "the table lies below 2H, 8192"),
    ],
  },
  {
    ...FULL,
    field: "header.header_length",
    id: "header-header-length",
    current: 104n,
    values: [
      ["min-less-8", 96n],
      ["min-more-1", 105n],
      ["min-more-8", 112n],
      ["draft", 28n],
      ["cluster", 512n],
      ["cluster-more-8", 520n],
    ],
    cases: [
      refuse(
        is(28n),
        "BAD_FIELD",
        ["QDB-HDR-006", "QDB-OPN-002"],
        "bytes 28-31 are not zero, so this is no draft, and 28 is no length of full form",
      ),
      refuse(below(104n), "BAD_FIELD", ["QDB-HDR-006"], "shorter than 104"),
      refuse(notMultipleOf(8n), "BAD_FIELD", ["QDB-HDR-006"], "no multiple of 8"),
      refuse(above(512n), "BAD_FIELD", ["QDB-HDR-006"], "longer than the cluster"),
      accept(
        undefined,
        SAME,
        ["QDB-HDR-006", "QDB-EXT-007"],
        "a longer header is read; where it fills the cluster there is no place for an end mark",
      ),
    ],
  },
];

const WORDS: readonly MatrixField[] = [
  {
    ...FULL,
    field: "header.bitmaps_size",
    id: "header-bitmaps-size",
    current: 48n,
    values: [
      ["one-less", 47n],
      ["one-more", 49n],
      ["eight-more", 56n],
      ["end-of-file", 1536n],
      ["end-of-file-more-1", 1537n],
    ],
    cases: [
      refuse(is(0n), "OUT_OF_BOUNDS", ["QDB-TBL-010"], "the entry ends behind the table", tableOf(0)),
      refuse(is(47n), "OUT_OF_BOUNDS", ["QDB-TBL-010"], "the padding of the entry ends behind the table", tableOf(47)),
      refuse(is(49n), "BAD_FIELD", ["QDB-HDR-021"], "a byte is left behind the last entry", tableOf(49)),
      refuse(is(56n), "BAD_FIELD", ["QDB-HDR-021"], "bytes are left behind the last entry", tableOf(56)),
      refuse(
        is(1536n),
        "BAD_FIELD",
        ["QDB-HDR-021"],
        "bytes are left behind the last entry, up to the end of the file",
        tableOf(1536),
      ),
      refuse(is(2n ** 26n + 1n), "LIMIT", ["QDB-HDR-007"], "more than 64 MiB, in a file that has as many bytes", {
        length: 67117568,
      }),
      refuse(
        undefined,
        "OUT_OF_BOUNDS",
        ["QDB-OWN-011", "QDB-ERR-013"],
        "the table ends behind the file, which is looked at before its length",
      ),
    ],
  },
  {
    ...FULL,
    field: "header.incompatible_features",
    id: "header-incompatible-features",
    current: 0n,
    cases: [
      accept(is(1n), SAME, ["QDB-FEA-002", "QDB-HDR-008"], "bit 0 is known, and needs no cluster of ones"),
      refuse(undefined, "UNSUPPORTED_FEATURE", ["QDB-HDR-008"], "a bit is set that version 1 does not define"),
    ],
  },
  {
    ...FULL,
    field: "header.compatible_features",
    id: "header-compatible-features",
    current: 0n,
    cases: [
      accept(
        undefined,
        (value) => ({ ...SAME, head: { compatible_features: word(value) } }),
        ["QDB-HDR-009", "QDB-JSN-004"],
        "such bits are ignored, and shown",
      ),
    ],
  },
  {
    ...FULL,
    field: "header.autoclear_features",
    id: "header-autoclear-features",
    current: 0n,
    cases: [
      accept(
        undefined,
        (value) => ({ ...SAME, head: { autoclear_features: word(value) } }),
        ["QDB-HDR-024", "QDB-JSN-004"],
        "a reader does not change such bits, and shows them",
      ),
    ],
  },
  {
    ...FULL,
    field: "header.generation",
    id: "header-generation",
    current: 1n,
    cases: [
      refuse(is(0n), "BAD_FIELD", ["QDB-HDR-011"], "generations begin at 1"),
      accept(
        undefined,
        (value) => ({ ...SAME, head: { generation: `${value}` } }),
        ["QDB-HDR-011", "QDB-JSN-002"],
        "any other generation is read, exactly",
      ),
    ],
  },
  {
    ...FULL,
    unseal: ["table"],
    field: "header.table_checksum",
    id: "header-table-checksum",
    current: -1n,
    cases: [refuse(undefined, "BAD_CHECKSUM", ["QDB-HDR-012"], "not the CRC-32 of the table")],
  },
  {
    ...FULL,
    unseal: ["header"],
    field: "header.header_checksum",
    id: "header-header-checksum",
    current: -1n,
    cases: [
      refuse(
        undefined,
        "BAD_CHECKSUM",
        ["QDB-HDR-013", "QDB-OPN-012"],
        "not the CRC-32 of the header area, in the mirror neither",
      ),
    ],
  },
];

/** Every numeric field of the header in full form. */
export const HEADER_FIELDS: readonly MatrixField[] = [...POSTED, ...WORDS];
