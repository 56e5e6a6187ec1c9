import { type BitmapShape, type BitmapState, type ByteRange, type Problem, QdbError } from "@qdb/format";
import { bitsOf, type ClusterMap, type Decoded, decodeUtf8, specName, toHex } from "@qdb/format/container";
import { bitmapState, hex32, isGranularity, MAX_BITS, MAX_NAME_SIZE, setBits } from "@qdb/format/internal";
import { type Image, overlapProblem, placeProblem } from "../image/image.ts";
import { GRANULARITY_BITS } from "../image/limits.ts";
import { BITMAP_TABLE_ENTRY, type OffsetTable } from "../image/offset-table.ts";
import { BITMAP_FLAG, DIRECTORY_ENTRY, DIRTY_TRACKING, entryLength, entryName, FLAG_NAMES } from "./directory-entry.ts";
import { Qcow2ClusterMap } from "./qcow2-cluster-map.ts";

/** The result of checking who owns the clusters of the bitmaps of an image. It is made by `judge`. */
export interface Judgement {
  /** Whether the check could be done. If not, every bitmap has the error that kept it from it as its problem. */
  readonly isComplete: boolean;
  /** Returns the first problem that the check found with the clusters of a bitmap. */
  problemOf(bitmap: Qcow2Bitmap): Problem | undefined;
  /** Yields all problems that the check found with the clusters of a bitmap, the first one first. */
  problemsOf(bitmap: Qcow2Bitmap): Iterable<Problem>;
  /** Returns the bitmap table of a bitmap that has no problem. @throws {RangeError} if the table was not read */
  entriesOf(bitmap: Qcow2Bitmap): OffsetTable;
}

/** The bytes of a bitmap directory, and what is needed to check its entries. */
export interface Directory {
  readonly bytes: Uint8Array;
  /** File offset of the directory in bytes. */
  readonly offset: number;
  readonly image: Image;
  /** Indices of the bitmaps that share their name with another bitmap. */
  readonly doubled: Set<number>;
  /** The result of the check of cluster owners. Absent until the check has run; it does not run if every bitmap is in error without it. */
  judgement?: Judgement;
}

/**
 * A bitmap as its directory entry describes it. The fields are decoded on each access, because a directory can hold 65,535 bitmaps, and
 * decoded copies would take many times its size.
 */
export class Qcow2Bitmap {
  /** Index of the bitmap in the directory, from 0. */
  readonly index: number;
  readonly #directory: Directory;
  readonly #start: number;

  constructor(index: number, directory: Directory, start: number) {
    this.index = index;
    this.#directory = directory;
    this.#start = start;
  }

  /** The fields of the directory entry. */
  get fields(): Readonly<Decoded<typeof DIRECTORY_ENTRY.fields>> {
    return DIRECTORY_ENTRY.decode(this.#directory.bytes, this.#start);
  }

  /** File offset of the directory entry in bytes. */
  get fileOffset(): number {
    return this.#directory.offset + this.#start;
  }

  /** The bytes of the directory entry, padding included. */
  get bytes(): Uint8Array {
    const { bytes } = this.#directory;
    return bytes.subarray(this.#start, this.#start + entryLength(bytes, this.#start));
  }

  /** The bytes of the name. The qcow2 specification does not define their encoding. */
  get nameBytes(): Uint8Array {
    return entryName(this.#directory.bytes, this.#start);
  }

  /** The bytes of the extra data. */
  get extraData(): Uint8Array {
    const at = this.#start + DIRECTORY_ENTRY.size;
    return this.#directory.bytes.subarray(at, at + this.fields.extraDataSize);
  }

  /** The name; undefined if its bytes are not UTF-8. */
  get name(): string | undefined {
    return decodeUtf8(this.nameBytes);
  }

  /** The name for messages and lists: the name itself or, if its bytes are not UTF-8, `hex:` followed by the bytes as hex digits. */
  get label(): string {
    return this.name ?? `hex:${toHex(this.nameBytes)}`;
  }

  /** Granularity in bytes. Meaningful only if `granularity_bits` is valid. */
  get granularity(): number {
    return 2 ** this.fields.granularityBits;
  }

  /** Whether the granularity is a valid one. */
  get hasGranularity(): boolean {
    return isGranularity(this.granularity);
  }

  /** The size of the virtual disk, and the granularity. */
  get shape(): BitmapShape {
    return { size: this.#directory.image.virtualSize, granularity: this.granularity };
  }

  /** Number of bits, ceil(size / granularity). Meaningful only up to 2^32. */
  get bitCount(): number {
    return Number(bitsOf(this.#directory.image.virtualSize, this.granularity));
  }

  /** Whether the bitmap tracks writes as soon as the image is opened (flag `auto`). */
  get enabled(): boolean {
    return (this.fields.flags & BITMAP_FLAG.auto) !== 0;
  }

  /** Whether the bits in the file may be outdated, because a program has the image open, or crashed while it had it open (flag `in_use`). */
  get inUse(): boolean {
    return (this.fields.flags & BITMAP_FLAG.inUse) !== 0;
  }

  /**
   * The flags that are set, by the names that such flags have in a QDB file: `enabled` (`auto` in qcow2) and `in_use`. A flag that is not
   * known is `bit` and its number.
   */
  get flagNames(): readonly string[] {
    return setBits(BigInt(this.fields.flags)).map((bit) => FLAG_NAMES[bit] ?? `bit${bit}`);
  }

  /** Whether the bits of the bitmap can be used, in the words of `qdb info`. `problem` is its first problem; undefined if it has none. */
  stateBy(problem: Problem | undefined): BitmapState {
    return bitmapState({ has: (flag) => flag === "enabled" && this.enabled }, problem);
  }

  /** The range of the bitmap table according to the directory entry, in bytes. It is not validated. */
  get table(): ByteRange {
    const { bitmapTableOffset, bitmapTableSize } = this.fields;
    return { offset: Number(bitmapTableOffset), length: bitmapTableSize * BITMAP_TABLE_ENTRY.size };
  }

  /**
   * The first error in name, extra data, type, granularity, flags or number of bits; undefined if there is none. Without such an error the
   * shape of the bitmap is known, so a bitmap whose bits cannot be read can be replaced by one with all bits dirty.
   */
  get shapeProblem(): Problem | undefined {
    return firstOf(shapeProblems(this, this.#directory));
  }

  /** The first error of the bitmap, which {@link map} throws; undefined if there is none. It is found anew at each access. */
  get problem(): Problem | undefined {
    return this.entryProblem ?? this.#directory.judgement?.problemOf(this);
  }

  /** The first error that can be found without the check of cluster owners. @internal */
  get entryProblem(): Problem | undefined {
    return firstOf(this.#entryProblems());
  }

  /**
   * Yields all errors of the bitmap; the first one is {@link problem}. The bitmap table of a bitmap that is INCONSISTENT may be outdated, and
   * that of a bitmap with another error of its directory entry cannot be relied on: they are not looked at.
   */
  *problems(): Generator<Problem, void> {
    let isBad = false;
    for (const problem of this.#entryProblems()) {
      isBad = true;
      yield problem;
    }
    if (!isBad) yield* this.#directory.judgement?.problemsOf(this) ?? [];
  }

  *#entryProblems(): Generator<Problem, void> {
    const { image } = this.#directory;
    let isBad = false;
    for (const problem of shapeProblems(this, this.#directory)) {
      isBad = true;
      yield problem;
    }
    const problem = inconsistencyProblem(this, image) ?? (isBad ? undefined : tableProblem(this, image));
    if (problem !== undefined) yield problem;
  }

  /** The first error in shape or place of the table, whether the bits may be outdated or not. @internal */
  get placeProblem(): Problem | undefined {
    return this.shapeProblem ?? tableProblem(this, this.#directory.image);
  }

  /** The first error but that the bits may be outdated; undefined if the bits can be read as they were stored last. @internal */
  get storageProblem(): Problem | undefined {
    return this.placeProblem ?? this.#directory.judgement?.problemOf(this);
  }

  /**
   * Returns the cluster map with which @qdb/format reads the bits. Nothing is read here.
   * @throws {QdbError} the code of the bitmap's first problem (see {@link problem})
   */
  map(): ClusterMap {
    const { problem } = this;
    if (problem !== undefined) throw QdbError.from(problem);
    return this.storedMap();
  }

  /** Returns the map of the bits as they were stored last, which may be outdated. @throws {QdbError} the code of {@link storageProblem} @internal */
  storedMap(): ClusterMap {
    const { storageProblem } = this;
    if (storageProblem !== undefined) throw QdbError.from(storageProblem);
    const { judgement, image } = this.#directory;
    if (judgement === undefined) throw new RangeError(`the table of ${this.label} was not read`);
    return new Qcow2ClusterMap(this, judgement.entriesOf(this), image.clusterSize);
  }

  /** Returns where a field of the directory entry is, for error messages. @internal */
  where(field: keyof typeof DIRECTORY_ENTRY.fields): Problem["where"] {
    return {
      structure: DIRECTORY_ENTRY.name,
      field: specName(field),
      offset: this.fileOffset + DIRECTORY_ENTRY.fields[field][0],
      bitmap: this.label,
    };
  }
}

type Field = keyof typeof DIRECTORY_ENTRY.fields;

function firstOf(problems: Generator<Problem, void>): Problem | undefined {
  const first = problems.next();
  return first.done === true ? undefined : first.value;
}

function* shapeProblems(bitmap: Qcow2Bitmap, { image, doubled }: Directory): Generator<Problem, void> {
  const { flags, type, granularityBits, nameSize, extraDataSize } = bitmap.fields;
  const bad = (field: Field, code: Problem["code"], message: string): Problem => ({
    code,
    message,
    where: bitmap.where(field),
  });
  if (nameSize < 1 || nameSize > MAX_NAME_SIZE)
    yield bad("nameSize", "BAD_FIELD", `name_size is ${nameSize}, allowed are 1 to ${MAX_NAME_SIZE}`);
  if (doubled.has(bitmap.index))
    yield bad("nameSize", "DUPLICATE_NAME", "another bitmap of the image has the same name");
  if (extraDataSize !== 0) {
    const message = `the bitmap has ${extraDataSize} bytes of extra data, which this reader does not know`;
    yield bad("extraDataSize", "UNSUPPORTED_FEATURE", message);
  }
  if (type !== DIRTY_TRACKING) {
    const message = `bitmap type ${type} is not known; this reader knows ${DIRTY_TRACKING}, dirty tracking`;
    yield bad("type", "UNSUPPORTED_FEATURE", message);
  }
  const { min, max } = GRANULARITY_BITS;
  if (!bitmap.hasGranularity)
    yield bad("granularityBits", "BAD_FIELD", `granularity_bits is ${granularityBits}, allowed are ${min} to ${max}`);
  const unknown = flags & ~(BITMAP_FLAG.inUse | BITMAP_FLAG.auto);
  if (unknown !== 0) {
    const message = `flags 0x${hex32(unknown >>> 0)} are not known to this reader`;
    yield bad("flags", "UNSUPPORTED_FEATURE", message);
  }
  const bits = bitsOf(image.virtualSize, bitmap.granularity);
  if (bitmap.hasGranularity && bits > MAX_BITS)
    yield bad("granularityBits", "LIMIT", `${bits} bits are more than 2^32`);
}

/**
 * Returns the problem INCONSISTENT if the bits in the file may be outdated. The bitmap table may be outdated too, so it is not checked in
 * that case (qcow2: Bitmap directory, in_use).
 */
function inconsistencyProblem(bitmap: Qcow2Bitmap, { inconsistency }: Image): Problem | undefined {
  const message = bitmap.inUse
    ? "in_use is set: a program has the image open, or died while it had, and only it had the true bits; once nothing has it open, remove the bitmap, or mark everything dirty"
    : inconsistency;
  return message === undefined ? undefined : { code: "INCONSISTENT", message, where: bitmap.where("flags") };
}

function tableProblem(bitmap: Qcow2Bitmap, image: Image): Problem | undefined {
  const { bitmapTableSize } = bitmap.fields;
  const expected = Math.ceil(bitmap.bitCount / 8 / image.clusterSize);
  if (bitmapTableSize !== expected) {
    const message = `bitmap_table_size is ${bitmapTableSize}, ${bitmap.bitCount} bits need ${expected}`;
    return { code: "BAD_FIELD", message, where: bitmap.where("bitmapTableSize") };
  }
  if (expected === 0) return undefined;
  const what = "the bitmap table";
  const where = bitmap.where("bitmapTableOffset");
  return placeProblem(what, bitmap.table, image, where) ?? overlapProblem(what, bitmap.table, image, where);
}
