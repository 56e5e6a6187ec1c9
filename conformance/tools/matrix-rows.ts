// The boundary matrix of what stands in rows, header extensions and records: from sections 2.5, 3 and 7.2.
import { accept, deny, type MatrixField, refuse, SAME, type } from "./matrix-case.ts";
import type { Expectation } from "./sources.ts";

const RECORDS = "matrix-parent-records";
const is = (one: bigint) => (value: bigint) => value === one;
const above = (limit: bigint) => (value: bigint) => value > limit;

/** Lengths that a sum of 32 bits takes for small ones. */
const WRAPPING = [
  ["head-wraps", 2n ** 32n - 8n],
  ["padding-wraps", 2n ** 32n - 7n],
] as const;

const withExtensions = (...extensions: readonly unknown[]): Expectation => ({ ...SAME, extensions });

const EXTENSIONS: readonly MatrixField[] = [
  {
    parent: RECORDS,
    at: 104,
    field: "extension.type",
    id: "extension-type",
    current: 0x0badcafen,
    values: [
      ["feature-name-table", 0x6803f857n],
      ["extension-name-table", 0x51444e4dn],
    ],
    cases: [
      accept(is(0n), withExtensions(), ["QDB-EXT-001", "QDB-EXT-006"], "the end mark, whose length decides nothing"),
      accept(
        is(0x6803f857n),
        (value) => withExtensions({ type: type(value), data: "0000000000" }),
        ["QDB-EXT-018"],
        "5 bytes are no feature name table: unknown bytes",
      ),
      accept(
        is(0x51444e4dn),
        (value) => withExtensions({ type: type(value), data: "0000000000" }),
        ["QDB-EXT-023"],
        "5 bytes are no extension name table: unknown bytes",
      ),
      accept(
        undefined,
        (value) => withExtensions({ type: type(value), data: "0000000000" }),
        ["QDB-EXT-013", "QDB-JSN-005"],
        "an unknown type is ignored, and shown",
      ),
    ],
  },
  {
    parent: RECORDS,
    at: 104,
    field: "extension.length",
    id: "extension-length",
    current: 5n,
    values: [
      ["one", 1n],
      ["seven", 7n],
      ["eight", 8n],
      ["nine", 9n],
      ["space", 400n],
      ["space-more-1", 401n],
      ...WRAPPING,
    ],
    cases: [
      refuse(
        above(400n),
        "BAD_FIELD",
        ["QDB-EXT-002", "QDB-GEN-009"],
        "400 bytes are left in the cluster of 512 behind the head at 104",
      ),
      accept(
        undefined,
        (value) => withExtensions({ type: "0x0badcafe", data: "00".repeat(Number(value)) }),
        ["QDB-EXT-002", "QDB-EXT-004"],
        "data, padding to 8, then the end mark or the end of the space",
      ),
    ],
  },
];

const STAMP = { type: "0x00000002", length: "100000000", mtime: "1416787200000000000", file: "1234567" };
/** The 8 bytes of the record created. */
const NS = 1_416_787_200_000_000_000n.toString(16).padStart(16, "0");
const withRecords = (...records: readonly unknown[]): Expectation => ({ ...SAME, records: { daily: records } });

const RECORD_ROWS: readonly MatrixField[] = [
  {
    parent: RECORDS,
    at: 8264,
    field: "extension.type",
    id: "record-type",
    current: 5n,
    values: [
      ["as-the-first", 2n],
      ["seven", 7n],
      ["id", 3n],
    ],
    cases: [
      deny(is(0n), "BAD_FIELD", ["QDB-REC-002"], "no record has type 0"),
      deny(is(2n), "DUPLICATE_TYPE", ["QDB-REC-003"], "the first record has this type"),
      accept(
        is(3n),
        withRecords(STAMP, { type: type(3n), data: NS }),
        ["QDB-REC-007", "QDB-REC-030"],
        "8 bytes are no UUID: unknown bytes",
      ),
      accept(
        undefined,
        (value) => withRecords(STAMP, { type: type(value), data: NS }),
        ["QDB-REC-004", "QDB-JSN-005"],
        "an unknown type is ignored, and shown",
      ),
    ],
  },
  {
    parent: RECORDS,
    at: 8264,
    field: "extension.length",
    id: "record-length",
    current: 8n,
    values: [["one", 1n], ["seven", 7n], ["nine", 9n], ...WRAPPING],
    cases: [
      deny(
        is(0n),
        "BAD_FIELD",
        ["QDB-REC-001"],
        "the 8 bytes behind it are taken for a head, whose length is above what is left",
      ),
      accept(
        (length) => length < 8n,
        (length) => withRecords(STAMP, { type: type(5n), data: NS.slice(0, 2 * Number(length)) }),
        ["QDB-REC-007", "QDB-REC-015"],
        "not the 8 bytes of a time: unknown bytes, then padding",
      ),
      deny(undefined, "BAD_FIELD", ["QDB-REC-001", "QDB-GEN-009"], "8 bytes are left behind the head"),
    ],
  },
];

/** The 48 bytes of the entry of appendix B, kind and bit being these. */
function nameEntry(kind: bigint, bit: bigint): string {
  const byte = (value: bigint): string => value.toString(16).padStart(2, "0");
  return `${byte(kind)}${byte(bit)}${Buffer.from("all-ones clusters").toString("hex").padEnd(92, "0")}`;
}

const APPENDIX: Expectation = {
  bitmaps: {
    daily: [
      ["0", "65536"],
      ["5242880", "131072"],
      ["268435456", "31564544"],
    ],
  },
};
const named = (kind: string, bit: number): Expectation => ({
  ...APPENDIX,
  extensions: [{ type: "0x6803f857", features: [{ kind, bit, name: "all-ones clusters" }] }],
});
const unnamed = (data: string): Expectation => ({ ...APPENDIX, extensions: [{ type: "0x6803f857", data }] });

const NAMES: readonly MatrixField[] = [
  {
    parent: "golden-appendix-b",
    at: 112,
    field: "feature name.kind",
    id: "feature-name-kind",
    current: 0n,
    cases: [
      accept(
        above(2n),
        (value) => unnamed(nameEntry(value, 0n)),
        ["QDB-EXT-010", "QDB-EXT-018"],
        "there are three kinds: unknown bytes",
      ),
      accept(undefined, named("autoclear", 0), ["QDB-EXT-010", "QDB-JSN-013"], "the third kind"),
    ],
  },
  {
    parent: "golden-appendix-b",
    at: 112,
    field: "feature name.bit",
    id: "feature-name-bit",
    current: 0n,
    cases: [
      accept(
        above(63n),
        (value) => unnamed(nameEntry(0n, value)),
        ["QDB-EXT-011", "QDB-EXT-018"],
        "a word has 64 bits: unknown bytes",
      ),
      accept(undefined, named("incompatible", 63), ["QDB-EXT-011", "QDB-JSN-013"], "the last bit of a word"),
    ],
  },
];

/** Every numeric field of extensions, records and feature names. */
export const ROW_FIELDS: readonly MatrixField[] = [...EXTENSIONS, ...RECORD_ROWS, ...NAMES];
