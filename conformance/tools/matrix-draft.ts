// The boundary matrix of the header in draft form: what each value leads to, from sections 2.3, 2.4 and 7.2.
import { type MatrixField, refuse } from "./matrix-case.ts";
import { FAR } from "./matrix-header.ts";

const DRAFT = { parent: "golden-draft-one", at: 0 } as const;
const above = (limit: bigint) => (value: bigint) => value > limit;
const below = (limit: bigint) => (value: bigint) => value < limit;
const is = (one: bigint) => (value: bigint) => value === one;
const notMultipleOf = (unit: bigint) => (value: bigint) => value % unit !== 0n;

const ENDS_EARLY = "the file is no draft then, and ends before 4096 bytes";

/** Every field that the header has in draft form. */
export const DRAFT_FIELDS: readonly MatrixField[] = [
  {
    ...DRAFT,
    field: "header.magic",
    id: "draft-magic",
    current: 0x51444200n,
    cases: [
      refuse(undefined, "BAD_MAGIC", ["QDB-HDR-001", "QDB-OPN-009"], "nothing speaks for a draft with bad magic"),
    ],
  },
  {
    ...DRAFT,
    field: "header.version",
    id: "draft-version",
    current: 1n,
    cases: [refuse(undefined, "TRUNCATED", ["QDB-OPN-002", "QDB-OPN-010"], ENDS_EARLY)],
  },
  {
    ...DRAFT,
    field: "header.cluster_bits",
    id: "draft-cluster-bits",
    current: 9n,
    values: [["one-more", 10n]],
    cases: [
      refuse(below(9n), "BAD_FIELD", ["QDB-HDR-003"], "clusters have 512 bytes at least"),
      refuse(
        above(21n),
        "BAD_FIELD",
        ["QDB-HDR-003", "QDB-ERR-011"],
        "clusters have 2 MiB at most, and the first is not looked for",
      ),
      refuse(is(10n), "MISALIGNED", ["QDB-HDR-005"], "bitmaps_offset, 512, is no multiple of 1024"),
      refuse(undefined, "TRUNCATED", ["QDB-HDR-043", "QDB-ERR-011"], "the file ends in the first cluster"),
    ],
  },
  {
    ...DRAFT,
    field: "header.nb_bitmaps",
    id: "draft-nb-bitmaps",
    current: 1n,
    cases: [
      refuse(is(0n), "BAD_FIELD", ["QDB-HDR-018"], "bitmaps_offset is not 0 though there are no bitmaps"),
      refuse(above(65535n), "LIMIT", ["QDB-HDR-004"], "more than 65535 bitmaps"),
      refuse(undefined, "OUT_OF_BOUNDS", ["QDB-TBL-010"], "each entry has 40 bytes at least, and the file 2048"),
    ],
  },
  {
    ...DRAFT,
    field: "header.bitmaps_offset",
    id: "draft-bitmaps-offset",
    current: 512n,
    values: [...FAR, ["end-of-file", 2048n]],
    cases: [
      refuse(is(0n), "BAD_FIELD", ["QDB-HDR-018"], "bitmaps_offset is 0 though there is a bitmap"),
      refuse(notMultipleOf(512n), "MISALIGNED", ["QDB-HDR-005"], "no multiple of 512"),
      refuse(above(2n ** 53n - 1n), "OUT_OF_BOUNDS", ["QDB-GEN-008", "QDB-OWN-011"], "offset + 1 is above 2^53"),
      refuse(
        undefined,
        "OUT_OF_BOUNDS",
        ["QDB-OWN-011", "QDB-ERR-013"],
        "not even one byte of the table is in the file",
      ),
    ],
  },
  {
    ...DRAFT,
    field: "header.header_length",
    id: "draft-header-length",
    current: 28n,
    values: [
      ["one-less", 27n],
      ["one-more", 29n],
    ],
    cases: [refuse(undefined, "TRUNCATED", ["QDB-OPN-002", "QDB-OPN-010"], ENDS_EARLY)],
  },
  {
    ...DRAFT,
    field: "header.bitmaps_size",
    id: "draft-bytes-28-to-31",
    current: 0n,
    values: [["one", 1n]],
    cases: [refuse(undefined, "TRUNCATED", ["QDB-HDR-040", "QDB-OPN-010"], ENDS_EARLY)],
  },
];
