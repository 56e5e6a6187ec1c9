// What a caller says of a new bitmap, and the defaults of what it does not say.
import { Bitmap } from "../bitmap/bitmap.ts";
import type { BitmapContents } from "../commit/file-contents.ts";
import type { NewBitmap } from "../edit/edit-options.ts";
import { QdbError } from "../errors.ts";
import { exactInteger } from "../integers.ts";
import { encodeUtf8, toUuid } from "../layout/text.ts";
import { DEFAULT_GRANULARITY, MAX_NAME_SIZE } from "../limits.ts";
import { quote } from "../quote.ts";
import { FLAG } from "../records/bitmap-entry.ts";
import { type DiskStamp, type ExtraRecord, encodeRecord, isBitmapName } from "../records/extra-data.ts";

/** What a bitmap records about itself as text or about its disk (spec §3, Extra data). A field that is undefined is not recorded. */
export interface BitmapRecords {
  /** A text for people. */
  readonly comment?: string | undefined;
  /** Name of the disk: an absolute path, or any other name of it, such as a URI. */
  readonly disk?: string | undefined;
  /** Length, time of change and file id of the disk, by which a reader sees that it is another one by then or was changed. */
  readonly diskStamp?: DiskStamp | undefined;
}

/** What can be said of any new bitmap. */
interface NewBitmapFields extends BitmapRecords {
  /** Whether writers of the disk collect into it from now on (default true). */
  readonly enabled?: boolean | undefined;
  /** Whether a collector still holds the true bits (default false). Such a bitmap is listed, but its bits cannot be read: INCONSISTENT. */
  readonly inUse?: boolean | undefined;
  /** Id in the chain of backups, a UUID (default: a random one). */
  readonly id?: string | undefined;
  /** Id of the bitmap before it in the chain of backups, a UUID (default: none). */
  readonly parent?: string | undefined;
  /** Time of creation in ns since the epoch (default: now). */
  readonly created?: bigint | undefined;
}

/** A new bitmap but for its name: either the size of its disk, and then all of it is clean, or its bits. */
export type UnnamedBitmapInit = NewBitmapFields &
  (
    | {
        /** Length of the disk in bytes, 0..2^63-1. */
        readonly size: number | bigint;
        /** Bytes of the disk per bit: a power of two, 512..2^31 (default 65536). */
        readonly granularity?: number | undefined;
        readonly bits?: undefined;
      }
    | {
        /** The bits, with size and granularity. They are copied. */
        readonly bits: Bitmap;
        /** Length of the disk in bytes, which has to be that of the bits. */
        readonly size?: number | bigint | undefined;
        readonly granularity?: undefined;
      }
  );

/**
 * A new bitmap. Its name has 1 to 1023 bytes of UTF-8.
 * @example
 * const daily: BitmapInit = { name: "daily", size: 100n * 2n ** 30n };
 * const changes: BitmapInit = { name: "changes", bits, enabled: false, comment: "monday to tuesday" };
 */
export type BitmapInit = UnnamedBitmapInit & { readonly name: string };

/** What the host provides for new bitmaps. */
export interface NewBitmapHost {
  /** Returns 16 random bytes at each call. */
  readonly randomId: () => Uint8Array;
  /** Returns the time in ns since the epoch. The default is the clock of the host, in ms. */
  readonly now?: (() => bigint) | undefined;
  /** Whether the file holds no records: then a new bitmap gets no id and no time of creation. Default: false. */
  readonly withoutRecords?: boolean | undefined;
}

/** Returns the time in ns since the epoch. */
export function timeOf({ now }: NewBitmapHost): bigint {
  return now?.() ?? BigInt(Date.now()) * 1_000_000n;
}

/** Refuses a text that can be no name of a bitmap. @throws {QdbError} USAGE */
export function requireName(name: string): string {
  const bytes = encodeUtf8(name);
  if (isBitmapName(bytes)) return name;
  const what = bytes.length > 80 ? `a name of ${bytes.length} bytes` : quote(name);
  throw new QdbError("USAGE", `${what} can be no bitmap's: it takes 1 to ${MAX_NAME_SIZE} bytes, none of them zero`);
}

/** Returns the records of these fields, in the order of their types. @throws {QdbError} USAGE as `encodeRecord` */
export function recordsOfFields({
  disk,
  diskStamp,
  comment,
}: BitmapRecords): Exclude<ExtraRecord, { kind: "unknown" | "session" }>[] {
  return [
    ...(disk === undefined ? [] : [{ kind: "disk", text: disk } as const]),
    ...(diskStamp === undefined ? [] : [{ kind: "stamp", stamp: { ...diskStamp } } as const]),
    ...(comment === undefined ? [] : [{ kind: "comment", text: comment } as const]),
  ];
}

/** Returns a new bitmap as `Edits.add` takes it. @throws {QdbError} USAGE for a name, size, granularity or record that the format does not allow; LIMIT above 2^32 bits; SIZE_MISMATCH for bits of another size than given */
export function newBitmap(init: BitmapInit, host: NewBitmapHost): NewBitmap {
  const { name, enabled = true, inUse = false, parent } = init;
  const { withoutRecords = false } = host;
  const id = init.id ?? (withoutRecords ? undefined : toUuid(host.randomId()));
  const created = init.created ?? (withoutRecords ? undefined : timeOf(host));
  const records = [
    ...recordsOfFields({ disk: init.disk, diskStamp: init.diskStamp }),
    ...(id === undefined ? [] : [{ kind: "id", uuid: id } as const]),
    ...(parent === undefined ? [] : [{ kind: "parent", uuid: parent } as const]),
    ...(created === undefined ? [] : [{ kind: "created", ns: created } as const]),
    ...recordsOfFields({ comment: init.comment }),
  ];
  return {
    name: requireName(name),
    bits: bitsOf(init),
    flags: (enabled ? FLAG.enabled : 0) | (inUse ? FLAG.in_use : 0),
    extraData: records.map(encodeRecord),
  };
}

function bitsOf({ bits, size, granularity }: BitmapInit): Bitmap {
  if (bits === undefined) return Bitmap.clean({ size, granularity: granularity ?? DEFAULT_GRANULARITY });
  if (granularity !== undefined)
    throw new QdbError("USAGE", "a new bitmap takes its granularity from its bits; leave the option out");
  if (size === undefined || exactInteger(size, "size") === bits.size) return bits.clone();
  throw new QdbError("SIZE_MISMATCH", `the bits cover a disk of ${bits.size} bytes, and size is ${size}`, {
    field: "size",
  });
}

/** Returns a new bitmap as content of a new file. */
export function contentsOfNew({ name, ...rest }: NewBitmap): BitmapContents {
  return { nameBytes: encodeUtf8(name), ...rest };
}
