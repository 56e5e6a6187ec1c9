import { QdbError, type Report } from "../errors.ts";
import { exactInteger } from "../integers.ts";
import { isZero } from "../layout/bytes.ts";
import { bytes, i64, u64 } from "../layout/fields.ts";
import { struct } from "../layout/struct.ts";
import { decodeUtf8, encodeUtf8, fromUuid, isUtf8, toUuid } from "../layout/text.ts";
import { MAX_NAME_SIZE } from "../limits.ts";
import { scanTlv, type Tlv, type TlvRules, walkTlv } from "./tlv.ts";

/** Types of the extra-data records that version 1 defines (spec §3). Type 7 is not defined. */
export const RECORD = {
  disk: 1,
  stamp: 2,
  id: 3,
  parent: 4,
  created: 5,
  comment: 6,
  successor: 8,
  session: 9,
} as const;

/** The data of record 2, a stamp of the disk when the bitmap was last stored without in_use: spec §3, 24 bytes. */
export const DISK_STAMP = struct("disk stamp", 24, {
  length: [0, u64],
  mtime: [8, i64],
  file: [16, u64],
});

/** What is known of the disk when the bitmap was last stored without in_use: its length, time of last modification and file id. */
export interface DiskStamp {
  readonly length: bigint;
  readonly mtime: bigint;
  readonly file: bigint;
}

/** The data of record 9, the session that a bitmap is in: spec §3, 24 bytes. */
export const SESSION = struct("session", 24, {
  session: [0, bytes(16)],
  file: [16, u64],
});

/** The session of a bitmap: a program that does not write QDB collects for it in a file of its own, the shell (spec §5, Sessions). */
export interface BitmapSession {
  /** UUID of the session. All bitmaps of the session have it. */
  readonly id: string;
  /** File id (inode number) of the shell, 1..2^64-1. */
  readonly file: bigint;
}

/** A decoded record. Kind `unknown` stands for a record of an unknown type, and for a record that breaks the rule of its type. */
export type ExtraRecord =
  | { readonly kind: "disk" | "comment" | "successor"; readonly text: string }
  | { readonly kind: "stamp"; readonly stamp: DiskStamp }
  | { readonly kind: "id" | "parent"; readonly uuid: string }
  | { readonly kind: "created"; readonly ns: bigint }
  | { readonly kind: "session"; readonly session: BitmapSession }
  | { readonly kind: "unknown"; readonly type: number; readonly data: Uint8Array };

/** The data of record 5, when the bitmap was created: spec §3, 8 bytes. */
export const CREATED = struct("created", 8, {
  ns: [0, i64],
});

/** Whether bytes are a valid name of a bitmap: 1..1023 bytes of UTF-8 without NUL (QDB-TBL-006). */
export function isBitmapName(bytes: Uint8Array): boolean {
  return bytes.length >= 1 && bytes.length <= MAX_NAME_SIZE && !bytes.includes(0) && isUtf8(bytes);
}

/** Whether the data of record 9 keeps the rules of its type: the file id is not 0 (QDB-REC-037, QDB-REC-038). */
function isSession(data: Uint8Array): boolean {
  return data.length === 24 && !isZero(data.subarray(16));
}

/** Decodes a record. A record that breaks the rule of its type is returned as `unknown`. */
export function decodeRecord({ type, data }: Tlv): ExtraRecord {
  const unknown: ExtraRecord = { kind: "unknown", type, data };
  const text = (kind: "disk" | "comment" | "successor"): ExtraRecord => {
    const value = decodeUtf8(data);
    return value === undefined ? unknown : { kind, text: value };
  };
  switch (type) {
    case RECORD.disk:
      return text("disk");
    case RECORD.stamp:
      return data.length === DISK_STAMP.size ? { kind: "stamp", stamp: DISK_STAMP.decode(data) } : unknown;
    case RECORD.id:
    case RECORD.parent:
      return data.length === 16 ? { kind: type === RECORD.id ? "id" : "parent", uuid: toUuid(data) } : unknown;
    case RECORD.created:
      return data.length === CREATED.size ? { kind: "created", ns: CREATED.decode(data).ns } : unknown;
    case RECORD.comment:
      return text("comment");
    case RECORD.successor:
      return isBitmapName(data) ? text("successor") : unknown;
    case RECORD.session: {
      if (!isSession(data)) return unknown;
      const { session, file } = SESSION.decode(data);
      return { kind: "session", session: { id: toUuid(session), file } };
    }
    default:
      return unknown;
  }
}

const KNOWN_TYPES: ReadonlySet<number> = new Set(Object.values(RECORD));

/** Whether version 1 of the format defines the record type `type`. */
export function isKnownRecordType(type: number): boolean {
  return KNOWN_TYPES.has(type);
}

/** A number of a record. @throws {QdbError} USAGE if it is not exact, or out of the range of its field */
function inRange(
  value: bigint,
  name: string,
  { least, most }: { readonly least: bigint; readonly most: bigint },
): bigint {
  const exact = exactInteger(value, name);
  if (exact >= least && exact <= most) return exact;
  throw new QdbError("USAGE", `${name} ${exact} is not in ${least}..${most}`, { field: name });
}

const U64 = { least: 0n, most: 2n ** 64n - 1n };
const FILE_ID = { ...U64, least: 1n };
const I64 = { least: -(2n ** 63n), most: 2n ** 63n - 1n };

/** Encodes a record. @throws {QdbError} USAGE for a text with a lone surrogate, a text that is no UUID, and a number that is not exact or out of range */
export function encodeRecord(record: ExtraRecord): Tlv {
  switch (record.kind) {
    case "unknown":
      return { type: record.type, data: record.data };
    case "stamp": {
      const data = new Uint8Array(DISK_STAMP.size);
      const { length, mtime, file } = record.stamp;
      DISK_STAMP.encode(
        {
          length: inRange(length, "length", U64),
          mtime: inRange(mtime, "mtime", I64),
          file: inRange(file, "file", U64),
        },
        data,
      );
      return { type: RECORD.stamp, data };
    }
    case "id":
    case "parent":
      return { type: RECORD[record.kind], data: fromUuid(record.uuid) };
    case "created": {
      const data = new Uint8Array(CREATED.size);
      CREATED.encode({ ns: inRange(record.ns, "created", I64) }, data);
      return { type: RECORD.created, data };
    }
    case "session": {
      const data = new Uint8Array(SESSION.size);
      const { id, file } = record.session;
      SESSION.encode({ session: fromUuid(id), file: inRange(file, "file", FILE_ID) }, data);
      return { type: RECORD.session, data };
    }
    default:
      return { type: RECORD[record.kind], data: encodeUtf8(record.text) };
  }
}

/** The place of extra data, for messages: file offset in bytes and name of the bitmap. `bitmap` is read only if there is a problem. */
export interface RecordsPlace {
  readonly fileOffset: number;
  readonly bitmap: string;
}

function rulesFor(place: RecordsPlace): TlvRules {
  return {
    structure: "extra data",
    endMark: false,
    maxItems: Number.POSITIVE_INFINITY,
    fileOffset: place.fileOffset,
    get bitmap() {
      return place.bitmap;
    },
  };
}

/**
 * Parses the extra data of a bitmap. Returns its records, and the offsets in `area` of padding that is not zero. Returns undefined if a
 * record does not end inside the extra data, or has type 0, and reports BAD_FIELD then. Reports DUPLICATE_TYPE too.
 */
export function parseExtraData(
  area: Uint8Array,
  place: RecordsPlace,
  report: Report,
): { readonly records: readonly Tlv[]; readonly padding: readonly number[] } | undefined {
  const walk = walkTlv(area, rulesFor(place), report);
  return walk.isBroken ? undefined : { records: walk.items, padding: walk.padding.map((piece) => piece.offset) };
}

/** What the records of a bitmap have to agree on with its flags. */
export interface FlaggedRecords {
  /** The data of record 8, the name of the successor; undefined if there is no such record. */
  readonly successor: Uint8Array | undefined;
  /** Whether there is a record 9, and it keeps the rule of its type. */
  readonly hasSession: boolean;
}

/** Walks the extra data of a bitmap and reports as {@link parseExtraData} does, but returns only what its flags are compared with. */
export function scanExtraData(area: Uint8Array, place: RecordsPlace, report: Report): FlaggedRecords | undefined {
  let successor: Uint8Array | undefined;
  let hasSession = false;
  const { isBroken } = scanTlv(area, rulesFor(place), report, (type, start, length) => {
    if (type === RECORD.successor) successor ??= area.subarray(start, start + length);
    if (type === RECORD.session) hasSession ||= isSession(area.subarray(start, start + length));
  });
  return isBroken ? undefined : { successor, hasSession };
}
