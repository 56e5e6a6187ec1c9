// What the rules say of the values of a field: the field tables of the code have it in words only.

/** Values that a field can have; numbers are decimal strings, since some are above 2^53. */
export interface Range {
  readonly min?: string;
  readonly max?: string;
  /** Values that are allowed beside the range, or alone. */
  readonly values?: readonly string[];
  /** What the value is a multiple of: a number of bytes, or `cluster`. */
  readonly align?: string;
  readonly power_of_two?: true;
}

const power = (exponent: number, less = 0n): string => `${(1n << BigInt(exponent)) - less}`;

/** By the rule in the last column of the byte tables. */
export const RANGES: Readonly<Record<string, Range>> = {
  "QDB-HDR-001": { values: [`${0x51444200}`] },
  "QDB-HDR-002": { values: ["1"] },
  "QDB-HDR-003": { min: "9", max: "21" },
  "QDB-HDR-004": { min: "0", max: "65535" },
  "QDB-HDR-005": { align: "cluster" },
  // 28 in draft form; in full form the maximum is the smaller of the cluster size and 4096.
  "QDB-HDR-006": { min: "104", max: "4096", align: "8", values: ["28"] },
  "QDB-HDR-007": { min: "0", max: power(26) },
  "QDB-HDR-008": { min: "0", max: "1" },
  "QDB-HDR-011": { min: "1", max: power(64, 1n) },
  "QDB-EXT-010": { min: "0", max: "2" },
  "QDB-EXT-011": { min: "0", max: "63" },
  "QDB-REC-037": { min: "1", max: power(64, 1n) },
  "QDB-TBL-001": { align: "cluster" },
  "QDB-TBL-003": { min: "512", max: power(31), power_of_two: true },
  "QDB-TBL-004": { min: "0", max: power(63, 1n) },
  "QDB-TBL-005": { min: "0", max: "7" },
  "QDB-TBL-006": { min: "1", max: "1023" },
  "QDB-TBL-008": { values: ["0"] },
  "QDB-TBL-009": { min: "0", max: "4096" },
  "QDB-MAP-012": { values: ["0"] },
  "QDB-MAP-013": { align: "cluster" },
};

/** Types of header extensions that version 1 defines. */
export const EXTENSION_TYPES: Readonly<Record<string, number>> = {
  feature_name_table: 0x6803f857,
  extension_name_table: 0x51444e4d,
};

/** Types of records that version 1 defines. */
export const RECORD_TYPES: Readonly<Record<string, number>> = {
  disk: 1,
  disk_stamp: 2,
  bitmap_id: 3,
  parent_id: 4,
  created: 5,
  comment: 6,
  successor: 8,
  session: 9,
};
