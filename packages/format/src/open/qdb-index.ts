import { QdbError, throwFirst } from "../errors.ts";
import { type Digests, crc32 as ownCrc32 } from "../ports/digest.ts";
import type { Plan } from "../ports/plan.ts";
import { quote } from "../quote.ts";
import type { BitmapEntry } from "../records/bitmap-entry.ts";
import { announcedFeatures } from "../records/extensions.ts";
import type { FeatureName } from "../records/features.ts";
import { FULL_HEADER_LENGTH, type Header, mirrorOffset } from "../records/header.ts";
import type { Tlv } from "../records/tlv.ts";
import { type BitmapTable, readTable } from "./bitmap-table.ts";
import { type AreaRead, type OpenedHeader, openHeader, readArea } from "./choose-header.ts";
import { EntryProblems } from "./entry-problems.ts";
import { type FileGeometry, geometryOf } from "./geometry.ts";
import { validateHeader, validateIdentity, walkExtensions } from "./header-rules.ts";
import { type HeaderSource, sourceOf } from "./header-source.ts";

/** The header, the extensions and the bitmap table of a file. No L1 area is read to make it. */
export interface QdbIndex extends FileGeometry {
  readonly header: Header;
  /** File offset in bytes of the copy of the header that was used: 0, or the offset of the mirror. */
  readonly headerOffset: number;
  /** Which copy of the header was used. */
  readonly headerSource: HeaderSource;
  /** The bytes of the header that follow the fields that this version knows. Writers keep them. */
  readonly unknownHeader: Uint8Array;
  readonly extensions: readonly Tlv[];
  /** The names of feature bits, from the feature name table of the file. */
  readonly features: readonly FeatureName[];
  readonly table: BitmapTable;
  /** The problems of the entries of the table. */
  readonly problems: EntryProblems;
  readonly opened: OpenedHeader;
}

/**
 * Reads header and bitmap table, in two rounds, or in more if the mirror is needed. `primary` has the bytes of the primary, if they were
 * read before.
 * @throws {QdbError} the code of the first error of the file, in the order of spec §7; IO, SHORT_READ if header or table cannot be read
 */
export function* readIndex(fileSize: number, digests: Digests = {}, primary?: AreaRead): Plan<QdbIndex> {
  const crc32 = digests.crc32 ?? ownCrc32;
  const opened = yield* openHeader(fileSize, crc32, primary);
  validateIdentity(opened, throwFirst);
  validateHeader(opened, fileSize, throwFirst);
  const extensions = walkExtensions(opened, throwFirst).items;
  const geometry = geometryOf(opened.header, opened.form, fileSize);
  const table = yield* readTable(opened.header, geometry, crc32, opened.table);
  return indexOf(opened, geometry, extensions, table);
}

/** Returns the bytes of the mirror. They are read now unless the mirror was used as the header. Empty for a draft, which has no mirror. */
export function* keptMirror(index: QdbIndex, fileSize: number): Plan<Uint8Array> {
  if (index.form === "draft") return new Uint8Array(0);
  if (index.opened.offset !== 0) return index.opened.bytes;
  return (yield* readArea(mirrorOffset(index.clusterSize), fileSize)).bytes;
}

/** Makes an index from its parts. */
export function indexOf(
  opened: OpenedHeader,
  geometry: FileGeometry,
  extensions: readonly Tlv[],
  table: BitmapTable,
): QdbIndex {
  const { header } = opened;
  return {
    problems: new EntryProblems(table.entries, geometry),
    ...geometry,
    header,
    headerOffset: opened.offset,
    headerSource: sourceOf(opened),
    unknownHeader: opened.bytes.subarray(FULL_HEADER_LENGTH, Math.max(FULL_HEADER_LENGTH, header.headerLength)),
    extensions,
    features: announcedFeatures(extensions),
    table,
    opened,
  };
}

/**
 * Returns the table entry of the bitmap with a name.
 * @throws {QdbError} NOT_FOUND if no bitmap has it; DUPLICATE_NAME if several have it
 */
export function findBitmap(index: QdbIndex, name: string): BitmapEntry {
  const found = index.table.entries.filter((entry) => entry.name === name);
  const [entry] = found;
  if (entry === undefined) {
    throw new QdbError("NOT_FOUND", `there is no bitmap ${quote(name)} in the file`, { bitmap: name });
  }
  if (found.length > 1)
    throw QdbError.from(
      index.problems.get(entry.index) ?? {
        code: "DUPLICATE_NAME",
        message: "two bitmaps have that name",
        where: { bitmap: name },
      },
    );
  return entry;
}
