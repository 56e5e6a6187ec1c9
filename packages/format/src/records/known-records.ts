import type { BitmapEntry } from "./bitmap-entry.ts";
import { type BitmapSession, type DiskStamp, decodeRecord } from "./extra-data.ts";

/** What the records of a bitmap say, by kind. A record that is not there, or that breaks the rule of its type, is left out. */
export interface KnownRecords {
  /** Path or name of the tracked disk. */
  readonly disk?: string;
  /** The disk when the bitmap was last stored without in_use. */
  readonly stamp?: DiskStamp;
  /** Id of the bitmap, a UUID. */
  readonly id?: string;
  /** Id of the bitmap that this one continues, a UUID. */
  readonly parent?: string;
  /** When the bitmap was created, in nanoseconds since the Unix epoch. */
  readonly created?: bigint;
  readonly comment?: string;
  /** Name of the bitmap that collects while this one is frozen. */
  readonly successor?: string;
  /** The session that the bitmap is in. */
  readonly session?: BitmapSession;
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
      case "session":
        known.session = record.session;
        break;
      case "unknown":
        break;
    }
  }
  return known;
}
