import { Bitmap } from "../bitmap/bitmap.ts";
import { bitsOfShape } from "../bitmap/shape.ts";
import type { BitmapContents, FileContents } from "../commit/file-contents.ts";
import { validateContents } from "../commit/write-image.ts";
import { QdbError } from "../errors.ts";
import { decodeUtf8, encodeUtf8, toHex } from "../layout/text.ts";
import { DEFAULT_MAX_BITMAP_BYTES, type Limits, MAX_BITMAPS, MAX_EXTRA_DATA_SIZE } from "../limits.ts";
import type { Digests } from "../ports/digest.ts";
import { FLAG } from "../records/bitmap-entry.ts";
import { isBitmapName } from "../records/extra-data.ts";
import { type Tlv, tlvSize } from "../records/tlv.ts";
import { extensionObject, type HeaderValues, headerObject } from "./load-header.ts";
import { hexBytes, recordObject, u64Text } from "./load-values.ts";
import { JsonInput, type JsonKind, JsonScanner, type Parse } from "./scanner.ts";

/** What a loader needs beside the JSON. */
export interface LoadOptions extends Limits {
  /** Make a draft file, whatever the JSON says. */
  readonly draft?: boolean;
  /** 16 random bytes: the file id, where the JSON gives none. */
  readonly fileId: Uint8Array;
  /** 16 random bytes. */
  readonly writerId: Uint8Array;
  /** Needed for a JSON form with `bits_sha256`. */
  readonly digests?: Digests;
}

/** Bytes that are hashed at a time. */
const HASH_BLOCK = 1024 * 1024;

/** How the JSON form is read: its errors name the place, line and column. The longest legal string is a comment in escapes. */
const FORM: JsonKind = {
  maxToken: 256 * 1024,
  unendedString: "the input ends inside a string",
  error(message, path, line, column) {
    const place = path === "" ? "" : `${path}: `;
    return new QdbError("USAGE", `${place}${message} (line ${line}, column ${column})`, {
      structure: "JSON form",
      ...(path === "" ? {} : { field: path }),
    });
  },
};

/** A pair of the usual spelling, with what follows it: most of a large JSON form is these. */
const PAIR =
  /[ \t\n\r]*\[[ \t\n\r]*"(0|[1-9][0-9]{0,14})"[ \t\n\r]*,[ \t\n\r]*"(0|[1-9][0-9]{0,14})"[ \t\n\r]*\][ \t\n\r]*,(?=[ \t\n\r]*\[)/y;

/**
 * Reads the JSON form (spec §6) as its text comes in, and gives what a file of it holds. Ranges are rounded outward.
 * What is derived in the form is looked at for its syntax; `dirty_bytes` and `bits_sha256` must match.
 */
export class JsonLoader {
  readonly #scanner = new JsonScanner(FORM);
  readonly #options: LoadOptions;
  readonly #input: JsonInput<FileContents>;
  #bytes = 0;

  constructor(options: LoadOptions) {
    this.#options = options;
    this.#input = new JsonInput(this.#file());
  }

  /** Takes the next piece of text. @throws {QdbError} USAGE with the place in the JSON, LIMIT, NOT_SUPPORTED */
  push(text: string): void {
    this.#input.push(text);
  }

  /** Ends the input. @throws {QdbError} as {@link push}; USAGE when the JSON is not complete */
  finish(): FileContents {
    return this.#input.finish();
  }

  *#file(): Parse<FileContents> {
    const scanner: JsonScanner = this.#scanner;
    const header: HeaderValues = { fileId: this.#options.fileId, allOnes: false };
    const extensions: Tlv[] = [];
    const bitmaps: BitmapContents[] = [];
    const names = new Set<string>();
    const keys = yield* scanner.object("", {
      *format(path) {
        if ((yield* scanner.string(path)) !== "qdb")
          scanner.fail(path, 'this is no JSON form of a QDB file: "qdb" expected');
      },
      header: (path) => headerObject(scanner, path, header),
      extensions: (path) => scanner.array(path, (place) => extensionObject(scanner, place, extensions)),
      bitmaps: (path) => scanner.array(path, (place) => this.#bitmap(place, bitmaps, names)),
    });
    yield* scanner.end();
    if (!keys.has("header")) scanner.fail("", "header is needed");
    if (header.form === undefined || header.clusterBits === undefined)
      scanner.fail("header", "form and cluster_bits are needed");
    const form = this.#options.draft === true ? "draft" : header.form;
    const contents: FileContents = {
      form,
      clusterBits: header.clusterBits,
      fileId: header.fileId,
      writerId: this.#options.writerId,
      allOnes: form === "full" && header.allOnes,
      extensions,
      bitmaps,
    };
    this.#validate(contents);
    return contents;
  }

  /** Refuses a document whose file would break a rule of the format, with the place in the form that the rule is about. */
  #validate(contents: FileContents): void {
    try {
      validateContents(contents);
    } catch (error) {
      if (!(error instanceof QdbError)) throw error;
      const { bitmap, structure, field } = error.where;
      const index = contents.bitmaps.findIndex(({ nameBytes }) => decodeUtf8(nameBytes) === bitmap);
      const inHeader = structure === "header" ? `header${field === undefined ? "" : `.${field}`}` : "";
      const path = structure === "header extension" ? "extensions" : inHeader;
      this.#scanner.fail(index < 0 ? path : `bitmaps[${index}]`, error.message);
    }
  }

  *#bitmap(path: string, bitmaps: BitmapContents[], names: Set<string>): Parse<void> {
    const scanner: JsonScanner = this.#scanner;
    if (bitmaps.length >= MAX_BITMAPS) scanner.fail(path, `more than ${MAX_BITMAPS} bitmaps`);
    let nameBytes: Uint8Array | undefined;
    let size: bigint | undefined;
    let granularity: number | undefined;
    let flags = 0;
    let bits: Bitmap | undefined;
    let dirtyBytes: bigint | undefined;
    let sha256: string | undefined;
    const extraData: Tlv[] = [];
    const load = this.#dirty.bind(this);
    yield* scanner.object(path, {
      *name(place) {
        nameBytes = encodeUtf8(yield* scanner.string(place));
      },
      name_hex: (place) => scanner.fail(place, "a bitmap whose name is not UTF-8 cannot be loaded"),
      *size(place) {
        size = yield* u64Text(scanner, place);
      },
      *granularity(place) {
        granularity = yield* scanner.u32(place);
      },
      flags: (place) =>
        scanner.array(place, function* (item) {
          const flag = yield* scanner.string(item);
          const bit = new Map<string, number>(Object.entries(FLAG)).get(flag);
          if (bit === undefined) scanner.fail(item, "enabled, in_use or frozen expected");
          if ((flags & bit) !== 0) scanner.fail(item, "the flag stands there twice");
          flags |= bit;
        }),
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
          extraData.push(yield* recordObject(scanner, item));
          if (tlvSize(extraData) > MAX_EXTRA_DATA_SIZE)
            scanner.fail(item, `more than ${MAX_EXTRA_DATA_SIZE} bytes of records`);
        }),
      *dirty(place) {
        if (size === undefined || granularity === undefined)
          scanner.fail(place, "size and granularity must stand before dirty");
        bits = yield* load(place, size, granularity);
      },
      *dirty_bytes(place) {
        dirtyBytes = yield* u64Text(scanner, place);
      },
      *bits_sha256(place) {
        sha256 = toHex(yield* hexBytes(scanner, place, 32));
      },
      error: (place) =>
        scanner.fail(
          place,
          "the bits of this bitmap could not be read when the form was made: there is nothing to load",
        ),
    });
    if (nameBytes === undefined || !isBitmapName(nameBytes))
      scanner.fail(path, "a name of 1 to 1023 bytes of UTF-8 without NUL is needed");
    if (bits === undefined) scanner.fail(path, "size, granularity and dirty are needed");
    const key = toHex(nameBytes);
    if (names.has(key)) scanner.fail(path, "a bitmap of the same name stands there already");
    names.add(key);
    this.#verify(path, bits, dirtyBytes, sha256);
    bitmaps.push({ nameBytes, flags, extraData, bits });
  }

  *#dirty(path: string, size: bigint, granularity: number): Parse<Bitmap> {
    const scanner: JsonScanner = this.#scanner;
    const shape = { size, granularity };
    try {
      this.#bytes += Math.ceil(bitsOfShape(shape) / 8);
    } catch (error) {
      if (error instanceof QdbError) scanner.fail(path, error.message);
      throw error;
    }
    const most = this.#options.maxBitmapBytes ?? DEFAULT_MAX_BITMAP_BYTES;
    if (this.#bytes > most) {
      throw new QdbError(
        "LIMIT",
        `${path}: the bitmaps take ${this.#bytes} bytes in memory, at most ${most} are allowed; raise maxBitmapBytes`,
      );
    }
    const bits = Bitmap.clean(shape);
    // Exact: the pairs of the usual spelling stay below 2^53.
    const sizeNumber = Number(size);
    const inside = (pair: RegExpExecArray): boolean => Number(pair[1]) + Number(pair[2]) <= sizeNumber;
    yield* scanner.expect("[", path);
    if ((yield* scanner.peek()) !== "]") {
      for (let index = 0; ; index++) {
        const pair = scanner.takeMatch(PAIR, inside);
        if (pair !== undefined) {
          bits.mark({ offset: Number(pair[1]), length: Number(pair[2]) });
          continue;
        }
        const place = `${path}[${index}]`;
        const ends: bigint[] = [];
        yield* scanner.array(place, function* (item) {
          ends.push(yield* u64Text(scanner, item));
        });
        const [offset, length] = ends;
        if (offset === undefined || length === undefined || ends.length !== 2)
          scanner.fail(place, "[offset, length] expected");
        if (offset + length > size) scanner.fail(place, `the range ${offset}+${length} ends past the size ${size}`);
        bits.mark({ offset, length });
        if ((yield* scanner.peek()) !== ",") break;
        yield* scanner.expect(",", path);
      }
    }
    yield* scanner.expect("]", path);
    return bits;
  }

  #verify(path: string, bits: Bitmap, dirtyBytes: bigint | undefined, sha256: string | undefined): void {
    if (dirtyBytes !== undefined && dirtyBytes !== bits.dirtyBytes()) {
      this.#scanner.fail(path, `dirty_bytes is ${dirtyBytes}, but the ranges come to ${bits.dirtyBytes()}`);
    }
    if (sha256 === undefined) return;
    const make = this.#options.digests?.sha256;
    if (make === undefined)
      throw new QdbError("NOT_SUPPORTED", `${path}: bits_sha256 cannot be verified: this host brought no SHA-256`);
    const hash = make();
    const length = Math.ceil(bits.bitCount / 8);
    for (let start = 0; start < length; start += HASH_BLOCK)
      hash.update(bits.bytesAt(start, Math.min(HASH_BLOCK, length - start)));
    if (hash.hex() !== sha256) this.#scanner.fail(path, "the ranges do not match bits_sha256");
  }
}
