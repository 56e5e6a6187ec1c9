import { numberAt } from "../elements.ts";
import type { Problem } from "../errors.ts";
import { u32, u64, viewOf } from "../layout/fields.ts";
import { align8, DESCRIPTOR_OFFSET_HIGH, descriptorOffset } from "../layout/numbers.ts";
import { struct } from "../layout/struct.ts";
import { lowerBound, NumberList } from "../number-list.ts";
import type { Crc32 } from "../ports/digest.ts";
import type { Form } from "./header.ts";

/** An L1 entry, which is a Standard Cluster Descriptor of qcow2: spec §4. */
export const L1_ENTRY = struct("L1 entry", 8, {
  descriptor: [0, u64],
});

/** The checksum of a data cluster. In full form the L1 area has one for each entry, after all entries: spec §4. */
export const L1_CHECKSUM = struct("L1 checksum", 4, {
  clusterChecksum: [0, u32],
});

/** What a cluster of bits reads as: zeros, ones, or the data that the file stores for it. */
export type ClusterKind = "zeros" | "ones" | "data";

const ZEROS_BIT = 1;
const ONES_BIT = 2;
const RESERVED_LOW = 0x1fc;

/** Returns the length of an L1 area in bytes: the entries and, in full form, their checksums and padding to a multiple of 8 (spec §4). */
export function l1AreaSize(entries: number, form: Form): number {
  return form === "full" ? align8(entries * (L1_ENTRY.size + L1_CHECKSUM.size)) : entries * L1_ENTRY.size;
}

/**
 * Returns the offset of an L1 entry in its L1 area, in bytes. It checks the index, since the bytes past the last entry are checksums or
 * belong to another L1 area.
 * @throws {RangeError} if there is no such entry
 */
export function l1EntryOffset(index: number, count: number): number {
  if (!(index >= 0 && index < count)) throw new RangeError(`L1 entry ${index} of ${count} was asked for`);
  return index * L1_ENTRY.size;
}

/** Whether a reserved bit is set in the descriptor at byte `at` of a view: bits 2-8 and 56-63, and bit 1 if the all-ones feature is off. */
export function hasReservedBits(view: DataView, at: number, allOnes: boolean): boolean {
  const low = view.getUint32(at + 4);
  return (
    view.getUint32(at) > DESCRIPTOR_OFFSET_HIGH || (low & RESERVED_LOW) !== 0 || (!allOnes && (low & ONES_BIT) !== 0)
  );
}

/** Whether the descriptor at byte `at` of a view has bit 1, "reads as ones", together with bit 0 or a file offset, which is an error. */
export function isContradictory(view: DataView, at: number): boolean {
  const low = view.getUint32(at + 4);
  return (low & ONES_BIT) !== 0 && ((low & ZEROS_BIT) !== 0 || l1Offset(view, at) !== 0);
}

/** Returns what the cluster of the descriptor at byte `at` of a view reads as. The descriptor must be valid. */
export function l1Kind(view: DataView, at: number): ClusterKind {
  const low = view.getUint32(at + 4);
  if ((low & ONES_BIT) !== 0) return "ones";
  if ((low & ZEROS_BIT) !== 0) return "zeros";
  return l1Offset(view, at) === 0 ? "zeros" : "data";
}

/**
 * Returns the file offset in the descriptor at byte `at` of a view, in bytes; 0 if there is none. A preallocated cluster has an offset too.
 */
export function l1Offset(view: DataView, at: number): number {
  return descriptorOffset(view.getUint32(at), view.getUint32(at + 4));
}

/**
 * The runs of an L1 area: entries that are equal, if they have no offset, or else whose offsets are a cluster apart and whose other bits are
 * equal. Long runs are common, and what is true of one entry is true of all of a run.
 */
export class L1Runs {
  /** The index after the last entry of each run. */
  readonly #ends: Float64Array;

  /** Finds the runs of `count` entries at byte `start` of a view. */
  constructor(view: DataView, start: number, count: number, clusterSize: number) {
    const ends = new NumberList();
    for (let end = 0; end < count; ends.push(end)) end = l1RunEnd(view, start, end, count, clusterSize);
    this.#ends = ends.array();
  }

  /** Returns the index after the last entry of the run that has an entry. @throws {RangeError} if there is no such entry */
  end(entry: number): number {
    return numberAt(this.#ends, lowerBound(this.#ends, entry + 1));
  }
}

/** Returns the index after the last entry of the run that begins with entry `from`, of `count` entries at byte `start` of a view. */
export function l1RunEnd(view: DataView, start: number, from: number, count: number, clusterSize: number): number {
  let at = start + l1EntryOffset(from, count);
  const high = view.getUint32(at);
  const step = l1Offset(view, at) === 0 ? 0 : clusterSize;
  // Past 2^32 the sum is no lower half of an entry, and the run ends.
  let low = view.getUint32(at + 4);
  let next = from + 1;
  for (; next < count; next++) {
    at += L1_ENTRY.size;
    low += step;
    if (view.getUint32(at + 4) !== low || view.getUint32(at) !== high) break;
  }
  return next;
}

/** Builds an L1 area. Every entry is to be set once. @throws {RangeError} if an entry past the last one is set */
export class L1Builder {
  /** The bytes of the L1 area. */
  readonly bytes: Uint8Array;
  readonly #view: DataView;
  readonly #count: number;
  readonly #form: Form;

  constructor(count: number, form: Form) {
    this.bytes = new Uint8Array(l1AreaSize(count, form));
    this.#view = viewOf(this.bytes);
    this.#count = count;
    this.#form = form;
  }

  /** Sets an entry to a cluster of zeros without space in the file. */
  setZeros(index: number): void {
    this.#view.setBigUint64(l1EntryOffset(index, this.#count), 0n);
  }

  /** Sets an entry to a cluster of ones. The file must have incompatible bit 0. */
  setOnes(index: number): void {
    this.#view.setBigUint64(l1EntryOffset(index, this.#count), BigInt(ONES_BIT));
  }

  /** Sets the entries [first, end), with their checksums, to those of an L1 area of `count` entries in full form. */
  copy(area: Uint8Array, count: number, first: number, end: number): void {
    if (!(first >= 0 && first <= end && end <= Math.min(count, this.#count)))
      throw new RangeError(`L1 entries ${first} to ${end} of ${count}`);
    this.bytes.set(area.subarray(first * L1_ENTRY.size, end * L1_ENTRY.size), first * L1_ENTRY.size);
    const checksums = count * L1_ENTRY.size;
    this.bytes.set(
      area.subarray(checksums + first * L1_CHECKSUM.size, checksums + end * L1_CHECKSUM.size),
      this.#count * L1_ENTRY.size + first * L1_CHECKSUM.size,
    );
  }

  /** Sets an entry to a stored cluster: its file offset in bytes, cluster-aligned, and the CRC-32 of all its bytes. */
  setData(index: number, offset: number, checksum: number): void {
    this.#view.setBigUint64(l1EntryOffset(index, this.#count), BigInt(offset));
    if (this.#form === "draft") return;
    this.#view.setUint32(this.#count * L1_ENTRY.size + index * L1_CHECKSUM.size, checksum);
  }
}

/** How L1 areas are written in a file: the codec with which `storeBits` stores a bitmap. */
export function l1Codec(form: Form, allOnes: boolean, checksum: Crc32): L1Codec {
  return { allOnes, checksum, builder: (count) => new L1Builder(count, form) };
}

/** The result of {@link l1Codec}. */
export interface L1Codec {
  readonly allOnes: boolean;
  readonly checksum: Crc32;
  builder(count: number): L1Builder;
}

/** Makes a problem of the L1 entry of index `index` in the L1 area at file offset `areaOffset`. */
export function l1Problem(
  code: Problem["code"],
  bitmap: string,
  areaOffset: number,
  index: number,
  message: string,
): Problem {
  const where = { structure: L1_ENTRY.name, field: "descriptor", offset: areaOffset + index * L1_ENTRY.size, bitmap };
  return { code, message: `L1 entry ${index}: ${message}`, where };
}
