import { type BitmapEntry, type DiskStamp, decodeRecord } from "@qdb/format";

/** The records of a bitmap that could be decoded, by kind. */
export interface KnownRecords {
  readonly disk?: string;
  readonly stamp?: DiskStamp;
  readonly id?: string;
  readonly parent?: string;
  /** Nanoseconds since the Unix epoch. */
  readonly created?: bigint;
  readonly comment?: string;
  readonly successor?: string;
}

/** Decodes the records of a bitmap. Records that are unknown or not valid are left out. */
export function knownRecords(entry: Pick<BitmapEntry, "parseRecords">): KnownRecords {
  const known: { -readonly [K in keyof KnownRecords]: KnownRecords[K] } = {};
  for (const item of entry.parseRecords() ?? []) {
    const record = decodeRecord(item);
    switch (record.kind) {
      case "disk":
      case "comment":
      case "successor":
        known[record.kind] = record.text;
        break;
      case "stamp":
        known.stamp = record.stamp;
        break;
      case "id":
      case "parent":
        known[record.kind] = record.uuid;
        break;
      case "created":
        known.created = record.ns;
        break;
      case "unknown":
        break;
    }
  }
  return known;
}
