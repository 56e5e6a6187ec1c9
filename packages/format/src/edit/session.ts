// Sessions: a program that does not write QDB collects for a bitmap in a file of its own, the shell (spec §5, Sessions).
import { ClusterBits } from "../bits/cluster-bits.ts";
import type { ChangeOptions } from "../bits/readable-clusters.ts";
import { QdbError } from "../errors.ts";
import type { Plan } from "../ports/plan.ts";
import { FLAG } from "../records/bitmap-entry.ts";
import type { EntryContents } from "../records/entry-contents.ts";
import { type BitmapSession, type DiskStamp, RECORD } from "../records/extra-data.ts";
import type { Tlv } from "../records/tlv.ts";
import { combining } from "./bit-actions.ts";
import type { BitmapList } from "./bitmap-list.ts";
import { withRecord } from "./chain-records.ts";
import type { EditSource } from "./edit-options.ts";
import { type PendingBitmap, sessionIn, shapeOf, soundEntry, usableEntry, usage } from "./pending-bitmap.ts";

/** Returns records without a session, also without a broken one: no copy of a bitmap inherits it, and it goes with in_use (QDB-FLG-022, QDB-FLG-023). */
export function withoutSession(records: readonly Tlv[]): readonly Tlv[] {
  return records.filter(({ type }) => type !== RECORD.session);
}

/** Returns an entry without in_use and without a session. */
export function withoutUse(entry: EntryContents): EntryContents {
  return { ...entry, flags: entry.flags & ~FLAG.in_use, extraData: withoutSession(entry.extraData) };
}

/** Begins a session of a bitmap: sets in_use and the record of the session. @throws {QdbError} as `Edits.beginSession` */
export function beginSession(list: BitmapList, name: string, session: BitmapSession): void {
  const bitmap = list.find(name);
  const entry = usableEntry(bitmap);
  if ((entry.flags & FLAG.frozen) !== 0)
    throw usage("it is frozen: its successor collects; begin the session of that one", name);
  if ((entry.flags & FLAG.enabled) === 0)
    throw usage("it is not enabled, so that nothing collects into it; enable it first", name);
  const extraData = withRecord(entry.extraData, { kind: "session", session });
  list.setEntry(bitmap, { ...entry, flags: entry.flags | FLAG.in_use, extraData });
}

/** What ends a session: the session that the shell says it is of, its bits, and a new stamp of the disk. */
export interface SessionEnd {
  readonly session: BitmapSession;
  readonly collected: EditSource;
  readonly diskStamp: DiskStamp | undefined;
}

/** Ends the session of a bitmap: adds the bits of the shell, and clears in_use. @throws {QdbError} as `Edits.endSession` */
export function* endSession(list: BitmapList, name: string, end: SessionEnd, options: ChangeOptions): Plan<void> {
  const bitmap = list.find(name);
  const entry = yield* addToStored(bitmap, end.collected, () => sessionEntry(list, bitmap, end), options);
  const { diskStamp: stamp } = end;
  const extraData = stamp === undefined ? entry.extraData : withRecord(entry.extraData, { kind: "stamp", stamp });
  list.setEntry(bitmap, { ...entry, extraData });
}

/** Makes a bitmap usable whose bits may be outdated: adds what it may miss to the bits in the file. @throws {QdbError} as `Edits.recover` */
export function* recover(list: BitmapList, name: string, missed: EditSource, options: ChangeOptions): Plan<void> {
  const bitmap = list.find(name);
  list.setEntry(bitmap, yield* addToStored(bitmap, missed, () => outdatedEntry(list, bitmap, missed), options));
}

/**
 * Adds bits to those that the file has of a bitmap, and returns its entry without in_use, which the caller sets. `accept` returns its entry,
 * or refuses the bitmap.
 */
function* addToStored(
  bitmap: PendingBitmap,
  bits: EditSource,
  accept: () => EntryContents,
  options: ChangeOptions,
): Plan<EntryContents> {
  const prepare = combining("merge", bits);
  for (;;) {
    accept();
    const before = bitmap.bits;
    // They become the bits of the bitmap when it can be used again: until then nobody may read them.
    const stored = before ?? storedBits(bitmap, options);
    const { version } = stored;
    const apply = yield* prepare(stored);
    const entry = withoutUse(accept());
    // Another action may have changed the bitmap while its bits were read.
    if (bitmap.bits !== before || stored.version !== version) continue;
    bitmap.bits = apply();
    return entry;
  }
}

/** Returns the bits of a bitmap as the file has them, although in_use is set. `soundEntry` has accepted the bitmap. */
function storedBits({ from }: PendingBitmap, options: ChangeOptions): ClusterBits {
  if (from?.map === undefined) throw new Error("a sound bitmap is new or has a map");
  return ClusterBits.over(from.map, options);
}

/** Returns the entry of a bitmap whose session can end. @throws {QdbError} as `Edits.endSession` */
function sessionEntry(list: BitmapList, bitmap: PendingBitmap, { session, collected }: SessionEnd): EntryContents {
  const { name } = bitmap;
  list.requireListed(bitmap);
  const entry = soundEntry(bitmap);
  if ((entry.flags & FLAG.in_use) === 0) throw usage("it is in no session: its bits are those in the file", name);
  const known = sessionIn(entry.extraData);
  if (known === undefined || known.id !== session.id.toLowerCase() || known.file !== session.file) {
    const held = known === undefined ? "without a session" : `for the session ${sessionText(known)}`;
    const message = `it is in use ${held}, and not for ${sessionText(session)}; mark everything dirty if nothing else has its bits`;
    throw new QdbError("INCONSISTENT", message, { bitmap: name });
  }
  const { size } = shapeOf(bitmap);
  if (collected.size === size) return entry;
  const message = `the shell covers a disk of ${collected.size} bytes, the bitmap one of ${size}; mark everything dirty, and resize the bitmap`;
  throw new QdbError("SIZE_MISMATCH", message, { bitmap: name });
}

/** Returns the entry of a bitmap whose bits may be outdated. @throws {QdbError} as `Edits.recover` */
function outdatedEntry(list: BitmapList, bitmap: PendingBitmap, missed: EditSource): EntryContents {
  const { name, from } = bitmap;
  list.requireListed(bitmap);
  const entry = soundEntry(bitmap);
  const isOutdated =
    (entry.flags & FLAG.in_use) !== 0 || (bitmap.entry === undefined && from?.findProblem() !== undefined);
  if (!isOutdated) throw usage("its bits are those in the file: there is nothing to recover", name);
  if (sessionIn(entry.extraData) !== undefined)
    throw usage("a shell has its bits: end its session, or mark everything dirty", name);
  const { size } = shapeOf(bitmap);
  if (missed.size === size) return entry;
  const message = `the bits cover a disk of ${missed.size} bytes, the bitmap one of ${size}`;
  throw new QdbError("SIZE_MISMATCH", message, { bitmap: name });
}

function sessionText({ id, file }: BitmapSession): string {
  return `${id}, shell of inode ${file}`;
}
