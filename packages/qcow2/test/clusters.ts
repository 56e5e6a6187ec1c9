// Finds structures of a real image by the qcow2 document alone, apart from the code under test.
import { QCOW2_HEADER } from "@qdb/qcow2";

/** File offsets of one cluster of each kind, in bytes; 0 where the image has none. */
export interface Clusters extends Readonly<Record<Kind, number>> {
  /** Bytes per cluster. */
  readonly size: number;
  /** Overwrites the refcount of the cluster at an offset. */
  setRefcount(bytes: Uint8Array, offset: number, value: number): void;
}

export type Kind =
  | "header"
  | "L1 table"
  | "refcount table"
  | "refcount block"
  | "snapshot table"
  | "snapshot's L1 table"
  | "L2 table"
  | "snapshot's L2 table"
  | "data"
  | "snapshot's data"
  | "compressed data"
  | "free cluster";

const OFFSET = 0x00fffffffffffe00n;

export function clustersOf(bytes: Uint8Array): Clusters {
  const header = QCOW2_HEADER.decode(bytes);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const clusterSize = 2 ** header.clusterBits;
  const bits = 2 ** header.refcountOrder;
  const u64 = (at: number): bigint => view.getBigUint64(at);
  const firstOffset = (at: number, entries: number): number => {
    for (let entry = 0; entry < entries; entry++) {
      const offset = u64(at + entry * 8) & OFFSET;
      if (offset !== 0n && (u64(at + entry * 8) >> 62n) % 2n === 0n) return Number(offset);
    }
    return 0;
  };
  /** L2 tables of an L1 table, in order. */
  const l2Tables = (at: number, entries: number): number[] =>
    Array.from({ length: entries }, (_, entry) => Number(u64(at + entry * 8) & OFFSET)).filter(
      (offset) => offset !== 0,
    );
  const compressed = (table: number): number => {
    for (let at = table; at < table + clusterSize; at += 8) {
      const entry = u64(at);
      if ((entry >> 62n) % 2n === 1n) {
        const offset = entry & ((1n << BigInt(62 - (header.clusterBits - 8))) - 1n);
        return Number(offset) - (Number(offset) % clusterSize);
      }
    }
    return 0;
  };
  const perBlock = (clusterSize * 8) / bits;
  const refcountPlace = (offset: number): { at: number; entry: number } => {
    const cluster = offset / clusterSize;
    const block = Number(u64(Number(header.refcountTableOffset) + Math.floor(cluster / perBlock) * 8));
    return { at: block, entry: cluster % perBlock };
  };
  const setRefcount = (target: Uint8Array, offset: number, value: number): void => {
    const { at, entry } = refcountPlace(offset);
    if (at === 0) throw new Error(`no refcount block for ${offset}`);
    const out = new DataView(target.buffer, target.byteOffset, target.length);
    if (bits >= 8) {
      // Big-endian: the last bytes are the least significant ones.
      const end = at + ((entry + 1) * bits) / 8;
      target.fill(0, end - bits / 8, end);
      for (let byte = 1, rest = value; rest > 0; byte++, rest = Math.floor(rest / 256))
        out.setUint8(end - byte, rest % 256);
      return;
    }
    const byte = at + Math.floor((entry * bits) / 8);
    const shift = (entry * bits) % 8;
    const mask = (2 ** bits - 1) << shift;
    out.setUint8(byte, (out.getUint8(byte) & ~mask & 255) | (value << shift));
  };
  const isFree = (offset: number): boolean => {
    const { at, entry } = refcountPlace(offset);
    if (bits !== 16) return false;
    return at !== 0 && view.getUint16(at + entry * 2) === 0;
  };
  const active = l2Tables(Number(header.l1TableOffset), header.l1Size);
  const snapshots = Number(header.snapshotsOffset);
  const snapshotL1 = header.nbSnapshots === 0 ? 0 : Number(u64(snapshots));
  const inSnapshot = header.nbSnapshots === 0 ? [] : l2Tables(snapshotL1, view.getUint32(snapshots + 8));
  const firstData = (tables: readonly number[]): number =>
    tables.map((table) => firstOffset(table, clusterSize / 8)).find((found) => found !== 0) ?? 0;
  let free = 0;
  for (let offset = clusterSize; offset < bytes.length; offset += clusterSize) if (isFree(offset)) free = offset;
  return {
    header: 0,
    "L1 table": Number(header.l1TableOffset),
    "refcount table": Number(header.refcountTableOffset),
    "refcount block": firstOffset(Number(header.refcountTableOffset), 1),
    "snapshot table": snapshots,
    "snapshot's L1 table": snapshotL1,
    "L2 table": active[0] ?? 0,
    "snapshot's L2 table": inSnapshot.find((table) => !active.includes(table)) ?? 0,
    data: firstData(active),
    "snapshot's data": firstData(inSnapshot),
    "compressed data": active.map(compressed).find((found) => found !== 0) ?? 0,
    "free cluster": free,
    size: clusterSize,
    setRefcount,
  };
}
