import { QdbError } from "../errors.ts";
import { isZero } from "../layout/bytes.ts";
import { u32, viewOf } from "../layout/fields.ts";
import { fileOffset, isInside } from "../layout/numbers.ts";
import { HEADER_AREA_SIZE, isClusterBits, MAX_CLUSTER_BITS, MAX_TABLE_SIZE } from "../limits.ts";
import type { Crc32 } from "../ports/digest.ts";
import { type Plan, tryReadRange } from "../ports/plan.ts";
import {
  DRAFT_HEADER,
  DRAFT_HEADER_LENGTH,
  FULL_HEADER_LENGTH,
  fromDraft,
  HEADER,
  hasMagic,
  headerChecksum,
  MIRROR_OFFSETS,
  mirrorOffset,
  VERSION,
} from "../records/header.ts";
import type { HeaderArea } from "./header-rules.ts";

/** The header area that the opening rule (spec §2) chose, and the primary as it was read. */
export interface OpenedHeader extends HeaderArea {
  /** The primary as it was read. A later read that gives other bytes means that a commit took place (spec §5, Readers). */
  readonly primary: AreaRead;
  /** The bitmap table, if it was read to choose the mirror. */
  readonly table?: Uint8Array;
}

/** The bytes of a header area: 4096, or fewer if the file ends or a sector cannot be read. */
export interface AreaRead {
  readonly bytes: Uint8Array;
  /** Why the bytes behind `bytes` could not be read (IO or SHORT_READ); undefined if the file ends there. */
  readonly unread?: QdbError;
}

/** Bytes that a disk reads or fails to read as one. */
const SECTOR = 512;

/** Reads a header area up to the end of the file or the first sector that cannot be read. */
export function* readArea(offset: number, fileSize: number): Plan<AreaRead> {
  const length = Math.max(0, Math.min(HEADER_AREA_SIZE, fileSize - offset));
  const whole = yield* tryReadRange(offset, length);
  if (whole instanceof Uint8Array) return { bytes: whole };
  // The bytes before the bad sector still tell whether the file is a draft, or of this format at all.
  const area = new Uint8Array(length);
  let have = 0;
  while (have < length) {
    const sector = yield* tryReadRange(offset + have, Math.min(SECTOR, length - have));
    if (!(sector instanceof Uint8Array)) return { bytes: area.subarray(0, have), unread: sector };
    area.set(sector, have);
    have += sector.length;
  }
  return { bytes: area };
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

/** Opening rule (c): whether the bytes at `offset` can be the mirror of a file whose primary is damaged. */
function isCandidate(bytes: Uint8Array, offset: number, crc32: Crc32): boolean {
  if (!isGoodArea(bytes, crc32)) return false;
  const { version, headerLength, clusterBits } = HEADER.decode(bytes);
  return (
    version === VERSION &&
    headerLength >= FULL_HEADER_LENGTH &&
    isClusterBits(clusterBits) &&
    mirrorOffset(2 ** clusterBits) === offset
  );
}

/**
 * Chooses the header of a file by the opening rule of spec §2. `known` is the primary, if it was read before.
 * @throws {QdbError} BAD_MAGIC, TRUNCATED, UNSUPPORTED_VERSION, BAD_CHECKSUM; IO or SHORT_READ if bytes that decide the choice cannot be
 * read
 */
export function* openHeader(fileSize: number, crc32: Crc32, known?: AreaRead): Plan<OpenedHeader> {
  const primary = known ?? (yield* readArea(0, fileSize));
  const { bytes, unread } = primary;
  if (isDraft(bytes)) {
    const header = fromDraft(DRAFT_HEADER.decode(bytes));
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
    const rest = unread === undefined ? {} : { unread: unreadError("the header area", bytes.length, unread) };
    return { form: "draft", header, bytes, offset: 0, primary, ...rest };
  }
  if (isGoodArea(bytes, crc32)) return { form: "full", header: HEADER.decode(bytes), bytes, offset: 0, primary };
  return yield* openMirror(primary, fileSize, crc32);
}

function* openMirror(primary: AreaRead, fileSize: number, crc32: Crc32): Plan<OpenedHeader> {
  const candidates: HeaderArea[] = [];
  // If a header area could not be read, it may be the right one: then that error is thrown, not one about the bytes that were read.
  let unread = primary.unread === undefined ? undefined : unreadError("the header", 0, primary.unread);
  for (const offset of MIRROR_OFFSETS) {
    if (!isInside(offset, HEADER_AREA_SIZE, fileSize)) break;
    const area = yield* readArea(offset, fileSize);
    if (area.unread !== undefined) unread ??= unreadError("the place of a mirror", offset, area.unread);
    const { bytes } = area;
    if (isCandidate(bytes, offset, crc32))
      candidates.push({ form: "full", header: HEADER.decode(bytes), bytes, offset });
  }
  const [mirror, second] = candidates;
  if (mirror === undefined) throw unread ?? primaryError(primary.bytes, fileSize);
  if (second !== undefined) {
    throw (
      unread ??
      new QdbError(
        "BAD_CHECKSUM",
        `the header is damaged, and copies of one stand at ${candidates.map((c) => c.offset).join(" and ")}: which is this file's cannot be told`,
        { structure: "header", offset: 0 },
      )
    );
  }
  // An interrupted commit may have written the mirror but not its table, so the mirror is used only if the table matches.
  const table = yield* readGoodTable(mirror, fileSize, crc32);
  if (table instanceof Uint8Array) return { ...mirror, primary, table };
  throw (
    unread ??
    table ??
    new QdbError(
      "BAD_CHECKSUM",
      `the header is damaged, and the bitmap table of the mirror at ${mirror.offset} does not match it`,
      { structure: "header", offset: 0 },
    )
  );
}

/** Reads the table of a possible mirror. Undefined if it does not match its checksum; the error if it cannot be read. */
function* readGoodTable(
  { header }: HeaderArea,
  fileSize: number,
  crc32: Crc32,
): Plan<Uint8Array | QdbError | undefined> {
  const offset = fileOffset(header.bitmapsOffset);
  const length = header.bitmapsSize;
  if (length > MAX_TABLE_SIZE || !isInside(offset, length, fileSize)) return undefined;
  const table = yield* tryReadRange(offset, length);
  if (!(table instanceof Uint8Array)) return unreadError("the bitmap table of a mirror", offset, table);
  return crc32(table) === header.tableChecksum ? table : undefined;
}

/** The error for unreadable bytes that decide which header is used. */
function unreadError(what: string, offset: number, cause: QdbError): QdbError {
  const where = { structure: "header", offset };
  return new QdbError(cause.code, `${what} cannot be read: ${cause.message}`, where, { cause });
}

/** The error of a file without a usable header, in the order of spec §2 (c). */
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
