import { toUuid } from "../layout/text.ts";
import { type ExtraRecord, encodeRecord, RECORD } from "../records/extra-data.ts";
import type { Tlv } from "../records/tlv.ts";

/** The records with one set: in its place, or behind the others. */
export function withRecord(records: readonly Tlv[], record: ExtraRecord): readonly Tlv[] {
  const next = encodeRecord(record);
  const at = records.findIndex(({ type }) => type === next.type);
  return at < 0 ? [...records, next] : records.with(at, next);
}

/**
 * Whoever removes bits gives a new id with the old one as parent, or drops both (spec §3). An id that breaks its rule is an
 * unknown record, and kept (QDB-REC-006, QDB-REC-007): there is no id then that the removal could concern.
 */
export function newPoint(records: readonly Tlv[], id: Uint8Array): readonly Tlv[] {
  const old = records.find(({ type }) => type === RECORD.id);
  if (old === undefined) return records.filter(({ type }) => type !== RECORD.parent);
  if (old.data.length !== 16) return records;
  return withRecord(withRecord(records, { kind: "id", uuid: toUuid(id) }), { kind: "parent", uuid: toUuid(old.data) });
}
