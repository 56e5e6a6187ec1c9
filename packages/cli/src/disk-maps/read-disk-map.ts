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

/** The ranges of a disk in the order of the map. Adjacent ranges of the same kind are joined. Each range takes 17 bytes of memory. */
export class RangeList {
  #offsets = new BigUint64Array(1024);
  #ends = new BigUint64Array(1024);
  #dirty = new Uint8Array(1024);
  #count = 0;
  #isGapless = true;
  #droppedZeros = 0n;

  /** Number of bytes in clean ranges whose zeros may replace older data (see {@link ClassifiedRange.isDroppedZero}). */
  get droppedZeros(): bigint {
    return this.#droppedZeros;
  }

  /** Adds a range at the end of the list. */
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

  /** End of the last range in bytes, if the ranges cover the disk from 0 on without a gap; else undefined. */
  get gaplessEnd(): bigint | undefined {
    return this.#isGapless && this.#count > 0 ? bigintAt(this.#ends, this.#count - 1) : undefined;
  }

  /**
   * Returns a granularity in bytes for a disk of `size` bytes: the largest one up to the default at which no range has to be rounded, but
   * at least the smallest that is allowed. It is larger if the bitmap would have more than 2^32 bits.
   */
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
   * Makes a bitmap of the ranges. A bit is clean only if clean ranges cover all of it, and no dirty range touches it.
   * @throws {QdbError} USAGE for a range that ends past the disk, or for an invalid size or granularity; LIMIT for too many bits
   */
  toBitmap(size: bigint, granularity: number): Bitmap {
    const bitmap = Bitmap.dirty({ size, granularity });
    this.#each(false, size, (offset, length) => bitmap.unmark({ offset, length }));
    // Dirty ranges are marked last, so that bytes in both a clean and a dirty range are dirty.
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

/**
 * Matches an object in the spelling of nbdinfo and `qdb map`, with numbers below 2^53. Group 1 is the offset, group 2 the length; group 3
 * matches only if the range is clean.
 */
const NBDINFO_OBJECT =
  /\n? *\{ *"offset": *(0|[1-9][0-9]{0,14}), *"length": *(0|[1-9][0-9]{0,14}), *"type": *(?:1, *"description": *"dirty"|(0), *"description": *"clean") *\},/y;

/**
 * Reads a JSON map from parts of text: an array of objects, each a range (see {@link classifyRange}). `rule` says which ranges of an
 * allocation map are dirty.
 * @throws {QdbError} USAGE with the place in the JSON; what reading the text throws
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
