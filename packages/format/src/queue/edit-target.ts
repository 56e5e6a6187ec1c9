import { Bitmap } from "../bitmap/bitmap.ts";
import type { BitmapShape } from "../bitmap/shape.ts";
import { Counts } from "../bits/read-bits.ts";
import { visitSource } from "../bits/visit-source.ts";
import type { EditSource } from "../edit/edit-options.ts";
import type { Edits } from "../edit/edits.ts";
import type { Plan } from "../ports/plan.ts";
import { FLAG } from "../records/bitmap-entry.ts";
import type { BitmapSession } from "../records/extra-data.ts";
import { knownRecords } from "../records/known-records.ts";
import type { BitmapRecords } from "./bitmap-init.ts";

/** The pending changes of a file that is open for changes. */
export interface EditTarget {
  readonly edits: Edits;
  /** Runs a reading plan of `edits`. */
  read<T>(plan: Plan<T>): Promise<T>;
  /** Returns a copy of the bits of a bitmap with the changes so far. */
  bits(name: string): Promise<Bitmap>;
  /** Returns the bits of a bitmap with the changes so far, as the source of a merge and its like. */
  source(name: string): Promise<EditSource>;
}

/** What a bitmap is in the middle of an edit, by the names that `StoredBitmap` has for it. */
export interface BitmapFacts extends BitmapShape, BitmapRecords {
  /** Whether writers of the disk collect into it. */
  readonly enabled: boolean;
  /** Whether it stays as it is for a backup, while its successor collects. */
  readonly frozen: boolean;
  /** Whether a collector has the true bits, so that those in the file cannot be used. */
  readonly inUse: boolean;
  /** Id of the bitmap, a UUID. */
  readonly id?: string | undefined;
  /** Id of the bitmap that this one continues, a UUID. */
  readonly parent?: string | undefined;
  /** When the bitmap was created, in nanoseconds since the Unix epoch. */
  readonly created?: bigint | undefined;
  /** Name of the bitmap that collects while this one is frozen. */
  readonly successor?: string | undefined;
  /** The session that the bitmap is in, so that another program has its bits. */
  readonly session?: BitmapSession | undefined;
}

/** Counts the dirty bytes of a source. @throws {QdbError} as reading the source */
export function* dirtyBytesOf(source: EditSource): Plan<bigint> {
  if (source instanceof Bitmap) return source.dirtyBytes();
  const counts = new Counts(1);
  yield* visitSource(source, counts.visitor(0, { first: 0, end: source.bitCount }));
  return counts.total(source, 0).bytes;
}

/** Returns the facts of a bitmap with the changes so far. @throws {QdbError} NOT_FOUND; the code of the bitmap's first problem if its records cannot be parsed */
export function factsOf(edits: Edits, name: string): BitmapFacts {
  const flags = edits.flags(name);
  const { stamp: diskStamp, ...records } = knownRecords({ parseRecords: () => edits.records(name) });
  return {
    ...edits.shape(name),
    ...records,
    ...(diskStamp === undefined ? {} : { diskStamp }),
    enabled: (flags & FLAG.enabled) !== 0,
    frozen: (flags & FLAG.frozen) !== 0,
    inUse: (flags & FLAG.in_use) !== 0,
  };
}
