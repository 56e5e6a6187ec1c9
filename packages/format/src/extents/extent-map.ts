import { Bitmap } from "../bitmap/bitmap.ts";
import { bigintAt } from "../elements.ts";
import { QdbError } from "../errors.ts";
import { exactInteger } from "../integers.ts";
import { bitsOf } from "../layout/numbers.ts";
import { DEFAULT_GRANULARITY, MAX_BITS, MAX_GRANULARITY, MIN_GRANULARITY } from "../limits.ts";
import type { ClassifiedExtent } from "./classify-extent.ts";

/**
 * The extents of a disk, dirty and clean, in the order in which a map of another program lists them. `readExtentMap` makes it. Adjacent
 * extents of the same kind are joined; each that remains takes 17 bytes of memory.
 */
export class ExtentMap {
  readonly #maxExtents: number;
  #offsets = new BigUint64Array(1024);
  #ends = new BigUint64Array(1024);
  #dirty = new Uint8Array(1024);
  #count = 0;
  #isGapless = true;
  #droppedZeros = 0n;

  /** @internal */
  constructor(maxExtents: number) {
    this.#maxExtents = maxExtents;
  }

  /**
   * Number of bytes in extents that are clean by the rule `data`, although the image itself holds zeros there. Over older data, a copy of
   * the dirty extents would not write these zeros: the rule `local` makes them dirty.
   */
  get droppedZeros(): bigint {
    return this.#droppedZeros;
  }

  /**
   * Length of the disk in bytes, as far as the map tells it: the end of the last extent, if the extents follow each other from 0 on without
   * a gap; else undefined.
   */
  get size(): bigint | undefined {
    return this.#isGapless && this.#count > 0 ? bigintAt(this.#ends, this.#count - 1) : undefined;
  }

  /** Adds an extent at the end of the map. @throws {QdbError} LIMIT if there are too many @internal */
  add({ offset, length, dirty, isDroppedZero }: ClassifiedExtent): void {
    if (isDroppedZero === true) this.#droppedZeros += length;
    const last = this.#count - 1;
    const end = last < 0 ? 0n : bigintAt(this.#ends, last);
    if (offset !== end) this.#isGapless = false;
    if (length === 0n) return;
    if (last >= 0 && offset === end && this.#dirty[last] === Number(dirty)) {
      this.#ends[last] = offset + length;
      return;
    }
    if (this.#count === this.#maxExtents) throw this.#tooMany();
    if (this.#count === this.#dirty.length) this.#grow();
    this.#offsets[this.#count] = offset;
    this.#ends[this.#count] = offset + length;
    this.#dirty[this.#count] = Number(dirty);
    this.#count++;
  }

  #tooMany(): QdbError {
    const message = `the map has more than ${this.#maxExtents} extents, adjacent ones of a kind joined; raise maxExtents`;
    return new QdbError("LIMIT", message, { structure: "extents" });
  }

  #grow(): void {
    const longer = <T extends BigUint64Array | Uint8Array>(target: T, source: T): T => {
      target.set(source as never);
      return target;
    };
    const length = this.#count * 2;
    this.#offsets = longer(new BigUint64Array(length), this.#offsets);
    this.#ends = longer(new BigUint64Array(length), this.#ends);
    this.#dirty = longer(new Uint8Array(length), this.#dirty);
  }

  /**
   * Returns a granularity in bytes for a disk of `size` bytes: the largest one up to 64 KiB at which no extent has to be rounded, but at
   * least 512. It is larger if the bitmap would have more than 2^32 bits.
   * @throws {QdbError} USAGE if the size is not exact
   */
  granularityFor(size: number | bigint): number {
    const diskEnd = exactInteger(size, "size");
    let edges = BigInt(DEFAULT_GRANULARITY);
    for (let index = 0; index < this.#count; index++) {
      const end = bigintAt(this.#ends, index);
      edges |= bigintAt(this.#offsets, index) | (end === diskEnd ? 0n : end);
    }
    let granularity = Math.max(MIN_GRANULARITY, Number(edges & -edges));
    while (bitsOf(diskEnd, granularity) > MAX_BITS && granularity < MAX_GRANULARITY) granularity *= 2;
    return granularity;
  }

  /**
   * Makes a bitmap of the extents. A bit is clean only if clean extents cover all of its granule, and no dirty extent touches it: what no
   * extent describes is dirty, dirty wins where extents overlap, dirty extents are rounded outward, and clean ones inward. Without
   * `granularity` it is that of {@link granularityFor}.
   * @throws {QdbError} USAGE if `size` is missing and the map does not tell it, for an extent that ends past the disk, or for an invalid size
   * or granularity; LIMIT for too many bits
   */
  toBitmap(
    shape: { readonly size?: number | bigint | undefined; readonly granularity?: number | undefined } = {},
  ): Bitmap {
    const size = shape.size ?? this.size;
    if (size === undefined) {
      const message =
        "the extents do not cover the disk from its start without a gap, so its size is not known: give size";
      throw new QdbError("USAGE", message, { structure: "extents", field: "size" });
    }
    const bitmap = Bitmap.dirty({ size, granularity: shape.granularity ?? this.granularityFor(size) });
    this.#each(false, bitmap.size, (offset, length) => bitmap.unmark({ offset, length }));
    // Dirty extents are marked last, so that bytes in both a clean and a dirty extent are dirty.
    this.#each(true, bitmap.size, (offset, length) => bitmap.mark({ offset, length }));
    return bitmap;
  }

  #each(dirty: boolean, size: bigint, visit: (offset: bigint, length: bigint) => void): void {
    for (let index = 0; index < this.#count; index++) {
      if (this.#dirty[index] !== Number(dirty)) continue;
      const offset = bigintAt(this.#offsets, index);
      const end = bigintAt(this.#ends, index);
      if (end > size) {
        const message = `the extent ${offset}+${end - offset} ends past the disk's ${size} bytes; is the size right?`;
        throw new QdbError("USAGE", message, { structure: "extents" });
      }
      visit(offset, end - offset);
    }
  }
}
