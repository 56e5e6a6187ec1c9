// Records that place a bitmap in a chain of backups: its id, and the id of the bitmap before it (spec §3).
import { toUuid } from "../layout/text.ts";
import { type ExtraRecord, encodeRecord, RECORD } from "../records/extra-data.ts";
import type { Tlv } from "../records/tlv.ts";

/** Returns a copy of records and their data. */
export function copyRecords(records: readonly Tlv[]): readonly Tlv[] {
  return records.map(({ type, data }) => ({ type, data: data.slice() }));
}

/** Returns records with one of them set: it takes the place of the record of its type, or comes after the others. */
export function withRecord(records: readonly Tlv[], record: ExtraRecord): readonly Tlv[] {
  const next = encodeRecord(record);
  const at = records.findIndex(({ type }) => type === next.type);
  return at < 0 ? [...records, next] : records.with(at, next);
}

/**
 * Returns the records of a bitmap after dirty bits were removed: a new id, with the old id as its parent (spec §3). A bitmap without id
 * loses its parent. An id of a wrong length is kept as an unknown record (QDB-REC-006, QDB-REC-007).
 */
export function newPoint(records: readonly Tlv[], id: Uint8Array): readonly Tlv[] {
  const old = records.find(({ type }) => type === RECORD.id);
  if (old === undefined) return records.filter(({ type }) => type !== RECORD.parent);
  if (old.data.length !== 16) return records;
  return withRecord(withRecord(records, { kind: "id", uuid: toUuid(id) }), { kind: "parent", uuid: toUuid(old.data) });
}
