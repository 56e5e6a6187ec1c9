// The boundary matrix of the L1 area and of the numbers in records: what each value leads to, from sections 3, 4 and 7.2.
import { accept, deny, type MatrixField, SAME, signed } from "./matrix-case.ts";

const L1 = { parent: "golden-full-one", at: 8704 } as const;
const RECORDS = "matrix-parent-records";
const is = (one: bigint) => (value: bigint) => value === one;

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

/** A bitmap in a session, in the file whose session is broken by its file id, 0. */
const SESSIONS: readonly MatrixField[] = [
  {
    parent: "ses-not-in-use-broken",
    at: 8264,
    field: "session.file",
    id: "session-file",
    current: 0n,
    cases: [
      accept(
        undefined,
        (value) => ({
          bitmaps: { a: "INCONSISTENT", shell: [["1024", "1024"]] },
          records: {
            a: [
              { type: "0x00000003", id: "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0" },
              { type: "0x00000009", session: "7d444840-9dc0-11d1-b245-5ffdce74fad2", file: `${value}` },
            ],
          },
        }),
        ["QDB-REC-037", "QDB-JSN-002", "QDB-JSN-015"],
        "an unsigned number, not 0",
        { beside: [[8216, "u16", 3, "# flags: enabled, in_use"]] },
      ),
    ],
  },
];

/** Every numeric field of the L1 area, and of the records that hold numbers. */
export const BITMAP_FIELDS: readonly MatrixField[] = [...MAPPING, ...TIMES, ...SESSIONS];
