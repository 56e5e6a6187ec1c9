import type { BitmapShape } from "./bitmap/shape.ts";
import type { Problem } from "./errors.ts";
import { type BitmapState, bitmapState } from "./open/bitmap-state.ts";
import type { QdbIndex } from "./open/qdb-index.ts";
import type { BitmapEntry } from "./records/bitmap-entry.ts";
import type { BitmapSession, DiskStamp } from "./records/extra-data.ts";
import { type KnownRecords, knownRecords } from "./records/known-records.ts";
import type { Tlv } from "./records/tlv.ts";

/** What the bitmap table says of a bitmap: the fields of `StoredBitmap` and of `StoredBitmapSync`. They read nothing from the file. */
export class StoredBitmapFields implements BitmapShape {
  readonly #index: QdbIndex;
  readonly entry: BitmapEntry;

  protected constructor(index: QdbIndex, entry: BitmapEntry) {
    this.#index = index;
    this.entry = entry;
  }

  /** The name; undefined if it is not UTF-8. */
  get name(): string | undefined {
    return this.entry.name;
  }

  /** The name for messages and lists; if it is not UTF-8, `hex:` and its bytes in hex. It can hold any character: escape it by `quote`. */
  get label(): string {
    return this.entry.label;
  }

  /** Length of the tracked disk in bytes, 0..2^63-1. */
  get size(): bigint {
    return this.entry.decodeFields().size;
  }

  /** Bytes of the disk per bit: a power of two, 512..2^31. Any number if the bitmap has a problem. */
  get granularity(): number {
    return this.entry.decodeFields().granularity;
  }

  /** Whether the bitmap collects writes (flag enabled). */
  get enabled(): boolean {
    return this.entry.has("enabled");
  }

  /** Whether a collector has the true bits, or had them when it was killed (flag in_use). The bits in the file cannot be used then. */
  get inUse(): boolean {
    return this.entry.has("in_use");
  }

  /** Whether the period of the bitmap has ended and is being backed up (flag frozen); its successor collects meanwhile. */
  get frozen(): boolean {
    return this.entry.has("frozen");
  }

  /**
   * The first problem of the table entry, in the order of spec §7; undefined if there is none. The bits cannot be used then. Damage of the
   * L1 area or of the data is found by the calls that read them, and by `checkQdb`.
   */
  get problem(): Problem | undefined {
    return this.#index.problems.get(this.entry.index);
  }

  /** The state that flags and table entry show; see {@link problem}. */
  get state(): BitmapState {
    return bitmapState(this.entry, this.problem);
  }

  /** Path or name of the tracked disk (record 1); undefined if none is recorded. */
  get disk(): string | undefined {
    return this.#known.disk;
  }

  /** The disk when the bitmap was last stored without in_use (record 2); undefined if none is recorded, or if the record is broken. */
  get diskStamp(): DiskStamp | undefined {
    return this.#known.stamp;
  }

  /** Id of the bitmap, a UUID (record 3). */
  get id(): string | undefined {
    return this.#known.id;
  }

  /** Id of the bitmap that this one continues, a UUID (record 4). */
  get parent(): string | undefined {
    return this.#known.parent;
  }

  /** When the bitmap was created, in nanoseconds since the Unix epoch (record 5). */
  get created(): bigint | undefined {
    return this.#known.created;
  }

  /** The comment (record 6). */
  get comment(): string | undefined {
    return this.#known.comment;
  }

  /** Name of the bitmap that collects while this one is frozen (record 8). */
  get successor(): string | undefined {
    return this.#known.successor;
  }

  /** The session that the bitmap is in, with {@link inUse} set (record 9): the bits that it collects are in a file of another program. */
  get session(): BitmapSession | undefined {
    return this.#known.session;
  }

  /** All records of extra data, in their order, each with its type and its bytes; undefined if they cannot be parsed. */
  get records(): readonly Tlv[] | undefined {
    return this.entry.parseRecords();
  }

  /** The records, decoded anew: a file can have 65,535 bitmaps. */
  get #known(): KnownRecords {
    return knownRecords(this.entry);
  }
}
