import { QdbError } from "../errors.ts";
import { limitOf } from "../integers.ts";
import { FlatObjects, type ObjectPlace } from "../json-text/flat-objects.ts";
import { JsonInput, type Parse } from "../json-text/scanner.ts";
import { Utf8Decoder } from "../layout/utf8-decoder.ts";
import { MAX_DISK_SIZE } from "../limits.ts";
import { type ChunkOptions, eachChunk, type TextChunks } from "../ports/chunks.ts";
import { type AllocationRule, classifyExtent } from "./classify-extent.ts";
import { ExtentMap } from "./extent-map.ts";

/** Default of {@link ExtentMapOptions.maxExtents}. They take 1.1 GiB. */
const DEFAULT_MAX_EXTENTS = 2 ** 26;

/** Options of {@link readExtentMap}. */
export interface ExtentMapOptions extends ChunkOptions {
  /**
   * Which extents of an allocation map are dirty: needed for such a map, and refused for one that says itself what is dirty. There is no
   * default, since each choice is wrong for some use.
   */
  readonly dirty?: AllocationRule | undefined;
  /** Maximum number of extents, adjacent ones of the same kind joined (default 2^26). Each takes 17 bytes of memory. */
  readonly maxExtents?: number | undefined;
}

/**
 * Matches an object in the spelling of nbdinfo and `qdb map`, with numbers below 2^53. Group 1 is the offset, group 2 the length; group 3
 * matches only if the extent is clean.
 */
const NBDINFO_OBJECT =
  /\n? *\{ *"offset": *(0|[1-9][0-9]{0,14}), *"length": *(0|[1-9][0-9]{0,14}), *"type": *(?:1, *"description": *"dirty"|(0), *"description": *"clean") *\},/y;

/**
 * Reads a map of a disk that another program printed as JSON: an array of objects, each an extent. Offsets and lengths are in bytes, and
 * exact at any size. An object is one of
 *
 * - `nbdinfo --map=CONTEXT --json`, and `qdb map --output=json`: `offset`, `length`, `type`, `description`;
 * - `qemu-img map --output=json`: `start`, `length`, `data`, `zero`, `depth`, `present`;
 * - oVirt: `start`, `length`, and `dirty` or `zero`;
 * - or a plain one: `offset`, `length`, `dirty`.
 *
 * Other keys are ignored. If an object says dirty or clean, that counts; if it says what is allocated, `options.dirty` decides. What no
 * object describes is dirty.
 *
 * The text is read in parts and not kept. The event loop gets a turn every 15 ms. The signal is checked between parts: input that waits for
 * its next chunk has to watch the signal itself.
 * @throws {QdbError} USAGE with the index of the object, line and column for JSON that cannot be read, an object that contradicts itself or
 * does not say enough, and an allocation map without `dirty`; USAGE with the offset for bytes that are not UTF-8; LIMIT for more than
 * `maxExtents` extents; ABORTED if the signal is aborted; what the input throws
 * @example
 * const map = await readExtentMap(await readFile("nbdinfo.json"));
 * const bits = map.toBitmap(); // or { size, granularity }
 * for (const { offset, length } of bits.extents()) console.log(offset, length);
 * @example
 * const map = await readExtentMap(createReadStream("qemu-img-map.json"), { dirty: "local", signal });
 */
export async function readExtentMap(chunks: TextChunks, options: ExtentMapOptions = {}): Promise<ExtentMap> {
  const maxExtents = limitOf(options.maxExtents, DEFAULT_MAX_EXTENTS, "maxExtents");
  const input = new JsonInput(extentMap(options.dirty, maxExtents));
  const decoder = new Utf8Decoder((offset) => {
    const message = `the extents are not UTF-8 text from byte ${offset} on`;
    return new QdbError("USAGE", message, { structure: "extents", offset });
  });
  let isStart = true;
  await eachChunk(chunks, options, (piece) => {
    if (typeof piece === "string") decoder.finish();
    const text = typeof piece === "string" ? piece : decoder.decode(piece);
    // A BOM is no part of the text.
    input.push(isStart && text.startsWith("\ufeff") ? text.slice(1) : text);
    isStart = isStart && text === "";
  });
  decoder.finish();
  return input.finish();
}

function* extentMap(rule: AllocationRule | undefined, maxExtents: number): Parse<ExtentMap> {
  const map = new ExtentMap(maxExtents);
  const usual = {
    pattern: NBDINFO_OBJECT,
    take([, offset = "", length = "", clean]: RegExpExecArray) {
      map.add({ offset: BigInt(offset), length: BigInt(length), dirty: clean === undefined });
    },
  };
  const objects = new FlatObjects({
    object(values, fail) {
      const extent = classifyExtent(values, rule, fail);
      if (extent.offset + extent.length > MAX_DISK_SIZE) fail("it ends past 2^63; no disk is that long");
      map.add(extent);
    },
    error: jsonError,
    ...(rule === undefined ? { usual } : {}),
  });
  yield* objects.parse();
  return map;
}

function jsonError(message: string, { index, key, line, column }: ObjectPlace): QdbError {
  const object = index === undefined ? undefined : `[${index}]`;
  const place = object === undefined ? "" : `${object}${key === undefined ? "" : `.${key}`}, `;
  const where = { structure: "extents", ...(object === undefined ? {} : { field: object }), line, column };
  return new QdbError("USAGE", `the extents cannot be read: ${message} (${place}line ${line})`, where);
}
