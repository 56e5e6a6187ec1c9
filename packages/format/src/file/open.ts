import { isQdbError, QdbError } from "../errors.ts";
import { isZero } from "../layout/bytes.ts";
import { u32, viewOf } from "../layout/fields.ts";
import { fileOffset, isInside } from "../layout/numbers.ts";
import { HEADER_AREA_SIZE, MAX_CLUSTER_BITS, MAX_TABLE_SIZE, MIN_CLUSTER_BITS } from "../limits.ts";
import type { Crc32 } from "../ports/digest.ts";
import { type Plan, read } from "../ports/plan.ts";
import type { ByteRange } from "../ports/source.ts";
import {
  DRAFT_HEADER,
  DRAFT_HEADER_LENGTH,
  FULL_HEADER_LENGTH,
  fromDraft,
  HEADER,
  headerChecksum,
  MAGIC,
  mirrorOffset,
  VERSION,
} from "../records/header.ts";
import type { HeaderArea } from "./header-rules.ts";

/** The header that the opening rule (spec §2) chose, and the primary's bytes as they were read. */
export interface OpenedHeader extends HeaderArea {
  /** The first 4096 bytes of the file, fewer where it ends; kept, to see a commit pass by (spec §5, Readers). */
  readonly primary: Uint8Array;
  /** The bitmap table, where the choice of the mirror needed it already. */
  readonly table?: Uint8Array;
}

/** Smallest piece of a disk that fails alone, in bytes. */
const SECTOR = 512;

/** Reads a header area, as much of it as the file has, up to the first sector that cannot be read. */
export function* readArea(offset: number, fileSize: number): Plan<Uint8Array> {
  const length = Math.max(0, Math.min(HEADER_AREA_SIZE, fileSize - offset));
  const whole = yield* readOrNothing({ offset, length });
  if (whole.length === length) return whole;
  // What stands before the bad sector still tells a draft, or a file of this format from any other.
  const area = new Uint8Array(length);
  let have = 0;
  while (have < length) {
    const sector = yield* readOrNothing({ offset: offset + have, length: Math.min(SECTOR, length - have) });
    if (sector.length === 0) break;
    area.set(sector, have);
    have += sector.length;
  }
  return area.subarray(0, have);
}

/** Reads a range; bytes that cannot be read are wrong bytes: an empty array (spec §2, Opening). */
function* readOrNothing(range: ByteRange): Plan<Uint8Array> {
  try {
    const [bytes] = yield* read([range]);
    return bytes ?? new Uint8Array(0);
  } catch (error) {
    if (isQdbError(error, "IO", "SHORT_READ")) return new Uint8Array(0);
    throw error;
  }
}

function hasMagic(bytes: Uint8Array): boolean {
  return bytes.length >= 4 && u32.read(viewOf(bytes), 0) === MAGIC;
}

/** Whether the bytes are a whole header area with good magic and checksum. */
export function isGoodArea(bytes: Uint8Array, crc32: Crc32): boolean {
  if (bytes.length !== HEADER_AREA_SIZE || !hasMagic(bytes)) return false;
  return HEADER.decode(bytes).headerChecksum === headerChecksum(bytes, crc32);
}

/** Opening rule (a): magic, version 1, header_length 28, bytes 28-31 zero. */
function isDraft(bytes: Uint8Array): boolean {
  if (bytes.length < DRAFT_HEADER_LENGTH + 4 || !hasMagic(bytes)) return false;
  const header = DRAFT_HEADER.decode(bytes);
  return header.version === VERSION && header.headerLength === DRAFT_HEADER_LENGTH && isZero(bytes.subarray(28, 32));
}

/** Opening rule (c): whether the bytes at `offset` can be the header of a file whose primary is damaged. */
function isCandidate(bytes: Uint8Array, offset: number, crc32: Crc32): boolean {
  if (!isGoodArea(bytes, crc32)) return false;
  const { version, headerLength, clusterBits } = HEADER.decode(bytes);
  return (
    version === VERSION &&
    headerLength >= FULL_HEADER_LENGTH &&
    clusterBits >= MIN_CLUSTER_BITS &&
    clusterBits <= MAX_CLUSTER_BITS &&
    mirrorOffset(2 ** clusterBits) === offset
  );
}

/**
 * Chooses the header of a file: the opening rule of spec §2, its three ways. `known` is the primary, where it was read already.
 * @throws {QdbError} BAD_MAGIC, TRUNCATED, UNSUPPORTED_VERSION, BAD_CHECKSUM
 */
export function* openHeader(fileSize: number, crc32: Crc32, known?: Uint8Array): Plan<OpenedHeader> {
  const primary = known ?? (yield* readArea(0, fileSize));
  if (isDraft(primary)) {
    const header = fromDraft(DRAFT_HEADER.decode(primary));
    const clusterSize = 2 ** header.clusterBits;
    if (header.clusterBits <= MAX_CLUSTER_BITS && fileSize < clusterSize) {
      throw new QdbError(
        "TRUNCATED",
        `the file ends at ${fileSize}, inside its first cluster of ${clusterSize} bytes`,
        {
          structure: "header",
          offset: fileSize,
        },
      );
    }
    return { form: "draft", header, bytes: primary, offset: 0, primary };
  }
  if (isGoodArea(primary, crc32))
    return { form: "full", header: HEADER.decode(primary), bytes: primary, offset: 0, primary };
  return yield* openMirror(primary, fileSize, crc32);
}

function* openMirror(primary: Uint8Array, fileSize: number, crc32: Crc32): Plan<OpenedHeader> {
  const candidates: HeaderArea[] = [];
  for (let bits = 12; bits <= MAX_CLUSTER_BITS; bits++) {
    const offset = 2 ** bits;
    if (!isInside(offset, HEADER_AREA_SIZE, fileSize)) break;
    const bytes = yield* readArea(offset, fileSize);
    if (isCandidate(bytes, offset, crc32))
      candidates.push({ form: "full", header: HEADER.decode(bytes), bytes, offset });
  }
  const [mirror, second] = candidates;
  if (mirror === undefined) throw primaryError(primary, fileSize);
  if (second !== undefined) {
    throw new QdbError(
      "BAD_CHECKSUM",
      `the header is damaged, and copies of one stand at ${candidates.map((c) => c.offset).join(" and ")}: which is this file's cannot be told`,
      { structure: "header", offset: 0 },
    );
  }
  // A commit may have been cut off behind the mirror: it speaks for this file only together with the table that it announces.
  const table = yield* readGoodTable(mirror, fileSize, crc32);
  if (table === undefined) {
    throw new QdbError(
      "BAD_CHECKSUM",
      `the header is damaged, and the bitmap table of the mirror at ${mirror.offset} does not match it`,
      { structure: "header", offset: 0 },
    );
  }
  return { ...mirror, primary, table };
}

function* readGoodTable({ header }: HeaderArea, fileSize: number, crc32: Crc32): Plan<Uint8Array | undefined> {
  const offset = fileOffset(header.bitmapsOffset);
  const length = header.bitmapsSize;
  if (length > MAX_TABLE_SIZE || !isInside(offset, length, fileSize)) return undefined;
  const table = yield* readOrNothing({ offset, length });
  return table.length === length && crc32(table) === header.tableChecksum ? table : undefined;
}

/** The error of a file without any usable header, in the order of spec §2 (c). */
function primaryError(primary: Uint8Array, fileSize: number): QdbError {
  const where = { structure: "header", offset: 0 };
  if (!hasMagic(primary))
    return new QdbError("BAD_MAGIC", "this is no QDB file: it does not begin with 51 44 42 00", where);
  if (fileSize < HEADER_AREA_SIZE) {
    return new QdbError(
      "TRUNCATED",
      `the file ends at ${fileSize}, inside the header area of ${HEADER_AREA_SIZE} bytes`,
      { ...where, offset: fileSize },
    );
  }
  const version = primary.length >= 8 ? u32.read(viewOf(primary), 4) : VERSION;
  if (version !== VERSION) {
    return new QdbError(
      "UNSUPPORTED_VERSION",
      `version ${version} is not known; this reader knows version ${VERSION}`,
      { ...where, field: "version", offset: 4 },
    );
  }
  return new QdbError("BAD_CHECKSUM", "the header does not match its checksum, and no mirror of it was found", {
    ...where,
    field: "header_checksum",
    offset: 68,
  });
}
