// Freezing a bitmap for a backup, and releasing it after the backup (spec §3).
import { ClusterBits } from "../bits/cluster-bits.ts";
import { prepareCombination } from "../bits/combine-bits.ts";
import type { ChangeOptions } from "../bits/readable-clusters.ts";
import { encodeUtf8, toUuid } from "../layout/text.ts";
import type { Plan } from "../ports/plan.ts";
import { FLAG } from "../records/bitmap-entry.ts";
import { decodeRecord, type ExtraRecord, encodeRecord, RECORD } from "../records/extra-data.ts";
import { prepareChange } from "./bit-actions.ts";
import type { BitmapList } from "./bitmap-list.ts";
import { withRecord } from "./chain-records.ts";
import type { Container } from "./container.ts";
import { bitsOf, type PendingBitmap, shapeOf, successorOf, usableEntry, usage } from "./pending-bitmap.ts";

/** Freezes a bitmap and adds its successor, which is clean and enabled. @throws {QdbError} as `Edits.freeze` */
export function freeze(
  list: BitmapList,
  name: string,
  successor: string,
  {
    newId,
    clusterSize,
    created,
  }: { readonly newId: () => Uint8Array; readonly clusterSize: number; readonly created: bigint | undefined },
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
  list.add({ name: successor, bits: ClusterBits.uniform(shapeOf(bitmap), "zeros", { clusterSize }), entry: added });
  // What follows cannot fail, so the file never has one change without the other.
  list.setEntry(bitmap, { ...entry, flags, extraData });
}

/** Ends a freeze: removes the frozen bitmap. After a failed backup, its dirty bits are merged into its successor first. @throws {QdbError} as `Edits.release` */
export function* release(
  list: BitmapList,
  name: string,
  outcome: "done" | "failed",
  container: Container,
  options: ChangeOptions,
): Plan<void> {
  const frozen = list.find(name);
  const successorName = nameOfSuccessor(frozen);
  if (outcome === "failed") {
    const successor = list.find(successorName);
    usableEntry(successor);
    container.refuseSource(name);
    yield* mergeBack(list, frozen, successor, options);
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
function* mergeBack(
  list: BitmapList,
  frozen: PendingBitmap,
  successor: PendingBitmap,
  options: ChangeOptions,
): Plan<void> {
  for (;;) {
    const source = bitsOf(frozen, options);
    const { version } = source;
    const apply = yield* prepareChange(
      successor,
      (bitmap) => {
        list.requireListed(bitmap);
        usableEntry(bitmap);
      },
      (bits) => prepareCombination(bits, "merge", source.fork()),
      options,
    );
    // Another action may have run while the bits were read. Its dirt must not be lost with the frozen bitmap.
    list.requireListed(frozen);
    nameOfSuccessor(frozen);
    if (frozen.bits !== source || source.version !== version) continue;
    const { extraData } = usableEntry(frozen);
    const target = usableEntry(successor);
    const chain = extraData.filter(({ type }) => type === RECORD.id || type === RECORD.parent);
    const others = target.extraData.filter(({ type }) => type !== RECORD.id && type !== RECORD.parent);
    successor.bits = apply();
    list.setEntry(successor, { ...target, extraData: [...others, ...chain] });
    successor.isNewPoint = false;
    return;
  }
}
