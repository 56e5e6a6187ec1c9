// Freezing a bitmap for a backup, and releasing it after the backup (spec §3).
import { Bitmap } from "../bitmap/bitmap.ts";
import { encodeUtf8, toUuid } from "../layout/text.ts";
import type { Limits } from "../limits.ts";
import type { MirrorOptions } from "../open/header-source.ts";
import type { QdbIndex } from "../open/qdb-index.ts";
import type { Plan } from "../ports/plan.ts";
import { FLAG } from "../records/bitmap-entry.ts";
import { decodeRecord, type ExtraRecord, encodeRecord, RECORD } from "../records/extra-data.ts";
import type { BitmapList } from "./bitmap-list.ts";
import { withRecord } from "./chain-records.ts";
import {
  bitsToChange,
  loadBits,
  loadedBits,
  loadSource,
  type PendingBitmap,
  shapeOf,
  successorOf,
  usableEntry,
  usage,
} from "./pending-bitmap.ts";

/** Freezes a bitmap and adds its successor, which is clean and enabled. @throws {QdbError} as `Edits.freeze` */
export function freeze(
  list: BitmapList,
  name: string,
  successor: string,
  newId: () => Uint8Array,
  created?: bigint,
): void {
  const bitmap = list.find(name);
  const entry = usableEntry(bitmap);
  if ((entry.flags & FLAG.frozen) !== 0) throw usage("it is frozen already", name);
  list.refuseBound(bitmap, "frozen");
  const id = entry.extraData.find(({ type }) => type === RECORD.id);
  const records: ExtraRecord[] = entry.extraData
    .map(decodeRecord)
    .filter(({ kind }) => kind === "disk" || kind === "stamp");
  records.push({ kind: "id", uuid: toUuid(newId()) });
  if (id !== undefined && id.data.length === 16) records.push({ kind: "parent", uuid: toUuid(id.data) });
  if (created !== undefined) records.push({ kind: "created", ns: created });
  const flags = (entry.flags & ~FLAG.enabled) | FLAG.frozen;
  const extraData = withRecord(entry.extraData, { kind: "successor", text: successor });
  const added = { nameBytes: encodeUtf8(successor), flags: FLAG.enabled, extraData: records.map(encodeRecord) };
  list.add({ name: successor, bits: Bitmap.clean(shapeOf(bitmap)), entry: added });
  // What follows cannot fail, so the file never has one change without the other.
  bitmap.entry = { ...entry, flags, extraData };
}

/** Ends a freeze: removes the frozen bitmap. After a failed backup, its dirty bits are merged into its successor first. @throws {QdbError} as `Edits.release` */
export function* release(
  list: BitmapList,
  name: string,
  outcome: "done" | "failed",
  index: QdbIndex,
  options: Limits & MirrorOptions,
): Plan<void> {
  const frozen = list.find(name);
  const successorName = nameOfSuccessor(frozen);
  if (outcome === "failed") {
    const successor = list.find(successorName);
    usableEntry(successor);
    yield* loadSource(frozen, index, options);
    yield* loadBits(successor, options);
    // Another action may have run while the bits were read.
    nameOfSuccessor(frozen);
    mergeBack(frozen, successor);
  }
  list.remove(frozen);
}

/** Returns the name of the bitmap that collects writes for a frozen bitmap. @throws {QdbError} as {@link usableEntry}; USAGE if the bitmap is not frozen */
function nameOfSuccessor(bitmap: PendingBitmap): string {
  const { flags } = usableEntry(bitmap);
  const name = successorOf(bitmap);
  if ((flags & FLAG.frozen) === 0 || name === undefined)
    throw usage("it is not frozen: there is nothing to release", bitmap.name);
  return name;
}

/** Merges the dirty bits of a frozen bitmap into its successor, which takes the place of the frozen bitmap in the chain of backups. */
function mergeBack(frozen: PendingBitmap, successor: PendingBitmap): void {
  const { extraData } = usableEntry(frozen);
  const target = usableEntry(successor);
  const bits = bitsToChange(successor);
  bits.merge(loadedBits(frozen));
  const chain = extraData.filter(({ type }) => type === RECORD.id || type === RECORD.parent);
  const others = target.extraData.filter(({ type }) => type !== RECORD.id && type !== RECORD.parent);
  Object.assign(successor, { bits, entry: { ...target, extraData: [...others, ...chain] }, isNewPoint: false });
}
