import { Bitmap, bitsOf, QdbError } from "@qdb/format";
import {
  bigintAt,
  JsonInput,
  MAX_BITS,
  MAX_DISK_SIZE,
  MAX_GRANULARITY,
  MIN_GRANULARITY,
  type Parse,
} from "@qdb/format/internal";
import { DEFAULT_GRANULARITY } from "../files/new-bitmaps.ts";
import { type AllocationRule, type ClassifiedRange, classifyRange } from "./classify-range.ts";
import { FlatObjects } from "./flat-objects.ts";

/** Ranges of a disk in the order of the map. Adjacent ranges of the same kind are joined. Takes 17 bytes for each range. */
export class RangeList {
  #offsets = new BigUint64Array(1024);
  #ends = new BigUint64Array(1024);
  #dirty = new Uint8Array(1024);
  #count = 0;
  #isGapless = true;
  #droppedZeros = 0n;

  /** Bytes of clean ranges whose zeros may hide older data (see {@link ClassifiedRange}). */
  get droppedZeros(): bigint {
    return this.#droppedZeros;
  }

  /** Adds a range. */
  add({ offset, length, dirty, isDroppedZero }: ClassifiedRange): void {
    if (isDroppedZero === true) this.#droppedZeros += length;
    const last = this.#count - 1;
    const end = last < 0 ? 0n : bigintAt(this.#ends, last);
    if (offset !== end) this.#isGapless = false;
    if (length === 0n) return;
    if (last >= 0 && offset === end && this.#dirty[last] === Number(dirty)) {
      this.#ends[last] = offset + length;
      return;
    }
    if (this.#count === this.#dirty.length) this.#grow();
    this.#offsets[this.#count] = offset;
    this.#ends[this.#count] = offset + length;
    this.#dirty[this.#count] = Number(dirty);
    this.#count++;
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

  /** The end of the last range in bytes, when the ranges follow each other without a gap from 0; undefined otherwise. */
  get gaplessEnd(): bigint | undefined {
    return this.#isGapless && this.#count > 0 ? bigintAt(this.#ends, this.#count - 1) : undefined;
  }

  /** The coarsest granularity in bytes, up to the default, that rounds no range; coarser if the bitmap would exceed 2^32 bits. */
  granularityFor(size: bigint): number {
    let edges = BigInt(DEFAULT_GRANULARITY);
    for (let index = 0; index < this.#count; index++) {
      const end = bigintAt(this.#ends, index);
      edges |= bigintAt(this.#offsets, index) | (end === size ? 0n : end);
    }
    let granularity = Math.max(MIN_GRANULARITY, Number(edges & -edges));
    while (bitsOf(size, granularity) > MAX_BITS && granularity < MAX_GRANULARITY) granularity *= 2;
    return granularity;
  }

  /**
   * Makes the bitmap of a disk. A bit is clean only where ranges call all of it clean and none calls it dirty.
   * @throws {QdbError} USAGE when a range ends past the disk, or for an invalid shape; LIMIT
   */
  toBitmap(size: bigint, granularity: number): Bitmap {
    const bitmap = Bitmap.dirty({ size, granularity });
    this.#each(false, size, (offset, length) => bitmap.unmark({ offset, length }));
    // The dirty ranges last, so that they win where ranges overlap.
    this.#each(true, size, (offset, length) => bitmap.mark({ offset, length }));
    return bitmap;
  }

  #each(dirty: boolean, size: bigint, visit: (offset: bigint, length: bigint) => void): void {
    for (let index = 0; index < this.#count; index++) {
      if (this.#dirty[index] !== Number(dirty)) continue;
      const offset = bigintAt(this.#offsets, index);
      const end = bigintAt(this.#ends, index);
      if (end > size) {
        throw new QdbError(
          "USAGE",
          `the extent ${offset}+${end - offset} ends past the disk's ${size} bytes; is the size right?`,
          {
            structure: "extents",
          },
        );
      }
      visit(offset, end - offset);
    }
  }
}

/** An object as nbdinfo and `qdb map` write it, with numbers below 2^53. Groups: offset, length, and the type when it is clean. */
const NBDINFO_OBJECT =
  /\n? *\{ *"offset": *(0|[1-9][0-9]{0,14}), *"length": *(0|[1-9][0-9]{0,14}), *"type": *(?:1, *"description": *"dirty"|(0), *"description": *"clean") *\},/y;

/**
 * Reads a map in JSON from pieces of text: an array of objects, each a range (see {@link classifyRange}).
 * @throws {QdbError} USAGE with the place in the JSON, and what reading throws
 */
export async function readDiskMap(
  pieces: AsyncIterable<string> | Iterable<string>,
  rule: AllocationRule | undefined,
): Promise<RangeList> {
  const input = new JsonInput(rangeList(rule));
  for await (const piece of pieces) input.push(piece);
  return input.finish();
}

function* rangeList(rule: AllocationRule | undefined): Parse<RangeList> {
  const list = new RangeList();
  const usual = {
    pattern: NBDINFO_OBJECT,
    take([, offset = "", length = "", clean]: RegExpExecArray) {
      list.add({ offset: BigInt(offset), length: BigInt(length), dirty: clean === undefined });
    },
  };
  const objects = new FlatObjects({
    object(values, fail) {
      const extent = classifyRange(values, rule, fail);
      if (extent.offset + extent.length > MAX_DISK_SIZE) fail("it ends past 2^63, where no disk does");
      list.add(extent);
    },
    ...(rule === undefined ? { usual } : {}),
  });
  yield* objects.parse();
  return list;
}
