import type { FileContents } from "../commit/file-contents.ts";
import { validateContents } from "../commit/write-image.ts";
import { QdbError } from "../errors.ts";
import { JsonInput, type JsonKind, JsonScanner, type Parse } from "../json-text/scanner.ts";
import { decodeUtf8 } from "../layout/text.ts";
import type { Tlv } from "../records/tlv.ts";
import { BitmapLoader, type BitmapLoadOptions } from "./load-bitmap.ts";
import { extensionObject, type HeaderValues, headerObject } from "./load-header.ts";
import type { LoadedBits } from "./load-ranges.ts";

/** What a loader needs beside the JSON form. */
export interface LoadOptions<B extends LoadedBits> extends BitmapLoadOptions<B> {
  /** Whether to make a file in draft form even if the JSON form says full. */
  readonly draft?: boolean | undefined;
  /** 16 random bytes. They become the file id if the JSON form has none. */
  readonly fileId: Uint8Array;
  /** 16 random bytes, which become the writer id of the new file. */
  readonly writerId: Uint8Array;
}

/**
 * Errors of the JSON form are USAGE and name the place, line and column. `maxToken` allows for the longest valid string: a comment in which
 * every character is written as an escape.
 */
const FORM: JsonKind = {
  maxToken: 256 * 1024,
  unendedString: "the input ends inside a string",
  error(message, path, line, column) {
    const place = path === "" ? "" : `${path}: `;
    return new QdbError("USAGE", `${place}${message} (line ${line}, column ${column})`, {
      structure: "JSON form",
      ...(path === "" ? {} : { field: path }),
      line,
      column,
    });
  },
};

/**
 * Reads the JSON form (spec §6) as its text arrives, and returns the contents of the file. Ranges are rounded outward to granules. Keys
 * whose values follow from the contents must have the right syntax but are not used; only `dirty_bytes` and `bits_sha256` must match the
 * bits.
 */
export class JsonLoader<B extends LoadedBits> {
  readonly #scanner = new JsonScanner(FORM);
  readonly #options: LoadOptions<B>;
  readonly #input: JsonInput<FileContents<B>>;

  constructor(options: LoadOptions<B>) {
    this.#options = options;
    this.#input = new JsonInput(this.#file());
  }

  /**
   * Reads the next part of the text.
   * @throws {QdbError} USAGE with the place in the JSON form if the text is not valid; LIMIT if the bits of all bitmaps are more than `maxBitmapBytes`;
   * NOT_SUPPORTED if `bits_sha256` cannot be verified
   */
  push(text: string): void {
    this.#input.push(text);
  }

  /** Ends the input and returns the contents of the file. @throws {QdbError} USAGE if the JSON form is not complete; else as {@link push} */
  finish(): FileContents<B> {
    return this.#input.finish();
  }

  *#file(): Parse<FileContents<B>> {
    const scanner: JsonScanner = this.#scanner;
    const header: HeaderValues = { fileId: this.#options.fileId, allOnes: false };
    const extensions: Tlv[] = [];
    const bitmaps = new BitmapLoader(scanner, this.#options);
    const keys = yield* scanner.object("", {
      *format(path) {
        const format = yield* scanner.string(path);
        if (format === "qcow2")
          scanner.fail(
            path,
            "this is the dump of a qcow2 image, from which no file is made; qdb import reads the image itself",
          );
        if (format !== "qdb") scanner.fail(path, 'this is no JSON form of a QDB file: "qdb" expected');
      },
      header: (path) => headerObject(scanner, path, header),
      extensions: (path) => scanner.array(path, (place) => extensionObject(scanner, place, extensions)),
      bitmaps: (path) => scanner.array(path, (place) => bitmaps.load(place)),
    });
    yield* scanner.end();
    if (!keys.has("header")) scanner.fail("", "header is needed");
    if (header.form === undefined || header.clusterBits === undefined)
      scanner.fail("header", "form and cluster_bits are needed");
    const form = this.#options.draft === true ? "draft" : header.form;
    const contents: FileContents<B> = {
      form,
      clusterBits: header.clusterBits,
      fileId: header.fileId,
      writerId: this.#options.writerId,
      allOnes: form === "full" && header.allOnes,
      extensions,
      bitmaps: bitmaps.loaded,
    };
    this.#validate(contents);
    return contents;
  }

  /** Applies the rules of the format to the contents. @throws {QdbError} USAGE with the place in the JSON form */
  #validate(contents: FileContents<B>): void {
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
}
