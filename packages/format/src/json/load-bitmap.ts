import { type BitmapShape, bitsOfShape } from "../bitmap/shape.ts";
import type { BitmapContents } from "../commit/file-contents.ts";
import { QdbError } from "../errors.ts";
import type { JsonScanner, Parse } from "../json-text/scanner.ts";
import { encodeUtf8, toHex } from "../layout/text.ts";
import { type Limits, MAX_BITMAPS, MAX_EXTRA_DATA_SIZE, maxBitmapBytesOf } from "../limits.ts";
import type { Digests } from "../ports/digest.ts";
import { FLAG } from "../records/bitmap-entry.ts";
import { isBitmapName } from "../records/extra-data.ts";
import { type Tlv, tlvSize } from "../records/tlv.ts";
import { type LoadedBits, markRanges } from "./load-ranges.ts";
import { hexBytes, recordObject, u64Text } from "./load-values.ts";

/** Number of bytes that are hashed at once: those of a page. */
const HASH_BLOCK = 64 * 1024;

/** What a {@link BitmapLoader} needs. */
export interface BitmapLoadOptions<B extends LoadedBits> extends Limits {
  /** Needed to verify `bits_sha256`. */
  readonly digests?: Digests | undefined;
  /** Makes the bits of a bitmap, which are all clean: `Bitmap.clean`, or spooled ones. */
  readonly newBits: (shape: BitmapShape) => B;
}

/** The values of the keys of a bitmap object; undefined for a key that was not read. */
interface BitmapFields<B> {
  nameBytes?: Uint8Array;
  size?: bigint;
  granularity?: number;
  flags: number;
  readonly extraData: Tlv[];
  bits?: B;
  dirtyBytes?: bigint;
  sha256?: string;
}

/** Loads the bitmap objects of a JSON form, one by one. */
export class BitmapLoader<B extends LoadedBits> {
  /** The bitmaps that were loaded, in the order of the input. */
  readonly loaded: BitmapContents<B>[] = [];
  readonly #scanner: JsonScanner;
  readonly #options: BitmapLoadOptions<B>;
  readonly #maxBitmapBytes: number;
  /** Names of the loaded bitmaps, as hex digits. */
  readonly #names = new Set<string>();
  /** Bytes that the bits of all bitmaps take. */
  #bytes = 0;

  /** @throws {QdbError} USAGE for a limit that is no whole number */
  constructor(scanner: JsonScanner, options: BitmapLoadOptions<B>) {
    this.#scanner = scanner;
    this.#options = options;
    this.#maxBitmapBytes = maxBitmapBytesOf(options);
  }

  /**
   * Loads a bitmap object. `path` is its place in the JSON form.
   * @throws {QdbError} USAGE with the place in the JSON form if the bitmap is not valid; LIMIT if the bits of all bitmaps are more
   * than `maxBitmapBytes`; NOT_SUPPORTED if `bits_sha256` cannot be verified
   */
  *load(path: string): Parse<void> {
    const scanner: JsonScanner = this.#scanner;
    if (this.loaded.length >= MAX_BITMAPS) scanner.fail(path, `more than ${MAX_BITMAPS} bitmaps`);
    const { nameBytes, flags, extraData, bits, dirtyBytes, sha256 } = yield* this.#fields(path);
    if (nameBytes === undefined || !isBitmapName(nameBytes))
      scanner.fail(path, "a name of 1 to 1023 bytes of UTF-8 without NUL is needed");
    if (bits === undefined) scanner.fail(path, "size, granularity and dirty are needed");
    const key = toHex(nameBytes);
    if (this.#names.has(key)) scanner.fail(path, "a bitmap of the same name stands there already");
    this.#names.add(key);
    if (dirtyBytes !== undefined && dirtyBytes !== bits.dirtyBytes())
      scanner.fail(path, `dirty_bytes is ${dirtyBytes}, but the ranges come to ${bits.dirtyBytes()}`);
    if (sha256 !== undefined) this.#verifyHash(path, bits, sha256);
    this.loaded.push({ nameBytes, flags, extraData, bits });
  }

  /**
   * Reads the keys of a bitmap object. Keys whose values follow from the contents, such as `l1_size`, must have the right syntax but are
   * not used.
   */
  *#fields(path: string): Parse<BitmapFields<B>> {
    const scanner: JsonScanner = this.#scanner;
    const fields: BitmapFields<B> = { flags: 0, extraData: [] };
    const allocate = this.#allocate.bind(this);
    yield* scanner.object(path, {
      *name(place) {
        fields.nameBytes = encodeUtf8(yield* scanner.string(place));
      },
      name_hex: (place) => scanner.fail(place, "a bitmap whose name is not UTF-8 cannot be loaded"),
      *size(place) {
        fields.size = yield* u64Text(scanner, place);
      },
      *granularity(place) {
        fields.granularity = yield* scanner.u32(place);
      },
      *flags(place) {
        fields.flags = yield* flagsArray(scanner, place);
      },
      *l1_table_offset(place) {
        yield* u64Text(scanner, place);
      },
      *l1_size(place) {
        yield* scanner.u32(place);
      },
      *l1_checksum(place) {
        yield* hexBytes(scanner, place, 4);
      },
      extra_data: (place) =>
        scanner.array(place, function* (item) {
          fields.extraData.push(yield* recordObject(scanner, item));
          if (tlvSize(fields.extraData) > MAX_EXTRA_DATA_SIZE)
            scanner.fail(item, `more than ${MAX_EXTRA_DATA_SIZE} bytes of records`);
        }),
      *dirty(place) {
        const { size, granularity } = fields;
        if (size === undefined || granularity === undefined)
          scanner.fail(place, "size and granularity must stand before dirty");
        fields.bits = allocate(place, { size, granularity });
        yield* markRanges(scanner, place, fields.bits);
      },
      *dirty_bytes(place) {
        fields.dirtyBytes = yield* u64Text(scanner, place);
      },
      *bits_sha256(place) {
        fields.sha256 = toHex(yield* hexBytes(scanner, place, 32));
      },
      error: (place) =>
        scanner.fail(
          place,
          "the bits of this bitmap could not be read when the form was made: there is nothing to load",
        ),
    });
    return fields;
  }

  /**
   * Makes a clean bitmap.
   * @throws {QdbError} USAGE if the size or granularity is not allowed; LIMIT if the bits of all bitmaps are more than `maxBitmapBytes`
   */
  #allocate(path: string, shape: BitmapShape): B {
    try {
      this.#bytes += Math.ceil(bitsOfShape(shape) / 8);
    } catch (error) {
      if (error instanceof QdbError) this.#scanner.fail(path, error.message);
      throw error;
    }
    const maxBitmapBytes = this.#maxBitmapBytes;
    if (this.#bytes > maxBitmapBytes) {
      throw new QdbError(
        "LIMIT",
        `${path}: the bits of the bitmaps take ${this.#bytes} bytes, at most ${maxBitmapBytes} are allowed; raise maxBitmapBytes`,
      );
    }
    return this.#options.newBits(shape);
  }

  #verifyHash(path: string, bits: B, sha256: string): void {
    const make = this.#options.digests?.sha256;
    if (make === undefined)
      throw new QdbError("NOT_SUPPORTED", `${path}: bits_sha256 cannot be verified: this host brought no SHA-256`);
    const hash = make();
    const length = Math.ceil(bits.bitCount / 8);
    for (let start = 0; start < length; start += HASH_BLOCK)
      hash.update(bits.viewAt(start, Math.min(HASH_BLOCK, length - start)));
    if (hash.hex() !== sha256) this.#scanner.fail(path, "the ranges do not match bits_sha256");
  }
}

/** Reads an array of flag names. Returns the flag bits. */
function* flagsArray(scanner: JsonScanner, path: string): Parse<number> {
  let flags = 0;
  yield* scanner.array(path, function* (item) {
    const flag = yield* scanner.string(item);
    const bit = new Map<string, number>(Object.entries(FLAG)).get(flag);
    if (bit === undefined) scanner.fail(item, "enabled, in_use or frozen expected");
    if ((flags & bit) !== 0) scanner.fail(item, "the flag stands there twice");
    flags |= bit;
  });
  return flags;
}
