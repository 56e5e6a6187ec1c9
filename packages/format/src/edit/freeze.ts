// Freezing a bitmap for a backup, and ending that (spec §3).
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
import { loadBits, loadSource, shapeOf, successorOf, usableEntry, usage } from "./pending-bitmap.ts";

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
  list.add({
    name: successor,
    bits: Bitmap.clean(shapeOf(bitmap)),
    entry: { nameBytes: encodeUtf8(successor), flags: FLAG.enabled, extraData: records.map(encodeRecord) },
  });
  bitmap.entry = {
    ...entry,
    flags: (entry.flags & ~FLAG.enabled) | FLAG.frozen,
    extraData: withRecord(entry.extraData, { kind: "successor", text: successor }),
  };
}

/** Ends a freeze: the frozen bitmap is removed, after a failed backup its dirty bits are merged into its successor. @throws {QdbError} as `Edits.release` */
export function* release(
  list: BitmapList,
  name: string,
  outcome: "done" | "failed",
  index: QdbIndex,
  options: Limits & MirrorOptions,
): Plan<void> {
  const bitmap = list.find(name);
  const entry = usableEntry(bitmap);
  const successorName = successorOf(bitmap);
  if ((entry.flags & FLAG.frozen) === 0 || successorName === undefined)
    throw usage("it is not frozen: there is nothing to release", name);
  if (outcome === "failed") {
    const successor = list.find(successorName);
    const target = usableEntry(successor);
    const frozenBits = yield* loadSource(bitmap, index, options);
    const bits = (yield* loadBits(successor, options)).clone();
    bits.merge(frozenBits);
    successor.bits = bits;
    const chain = entry.extraData.filter(({ type }) => type === RECORD.id || type === RECORD.parent);
    const others = target.extraData.filter(({ type }) => type !== RECORD.id && type !== RECORD.parent);
    successor.entry = { ...target, extraData: [...others, ...chain] };
    successor.isNewPoint = false;
  }
  list.remove(bitmap);
}
