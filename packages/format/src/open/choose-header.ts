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

/** The header area that the opening rule (spec §2.4) chose: the primary, or the mirror if the primary is damaged. */
export interface OpenedHeader extends HeaderArea {
  /** The primary as it was read. If a later read gives other bytes, a writer has committed since (spec §5, Readers). */
  readonly primary: AreaRead;
  /** The bytes of the bitmap table, if they were read already to verify the mirror. */
  readonly table?: Uint8Array;
}

/** The bytes of a header area as they were read: 4096, or fewer if the file ends earlier or a sector cannot be read. */
export interface AreaRead {
  readonly bytes: Uint8Array;
  /** The error of reading the bytes that follow `bytes` (IO or SHORT_READ); undefined if the header area or the file ends there. */
  readonly unread?: QdbError;
}

/** Length of a disk sector in bytes. A disk reads a sector as a whole or not at all. */
const SECTOR = 512;

/** Reads a header area up to the end of the file or the first sector that cannot be read. */
export function* readArea(offset: number, fileSize: number): Plan<AreaRead> {
  const length = Math.max(0, Math.min(HEADER_AREA_SIZE, fileSize - offset));
  const whole = yield* tryReadRange(offset, length);
  if (whole instanceof Uint8Array) return { bytes: whole };
  // The bytes before the bad sector can still show that the file is in draft form, or that it is of another format.
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

/** Whether bytes are a whole header area whose magic and checksum are right. */
export function isGoodArea(bytes: Uint8Array, crc32: Crc32): boolean {
  if (bytes.length !== HEADER_AREA_SIZE || !hasMagic(bytes)) return false;
  return HEADER.decode(bytes).headerChecksum === headerChecksum(bytes, crc32);
}

/**
 * Whether opening rule (a) of spec §2.4 takes the file for a draft: the magic is right, version is 1, header_length is 28, and bytes 28-31
 * are zero.
 */
function isDraft(bytes: Uint8Array): boolean {
  if (bytes.length < DRAFT_HEADER_LENGTH + 4 || !hasMagic(bytes)) return false;
  const header = DRAFT_HEADER.decode(bytes);
  return header.version === VERSION && header.headerLength === DRAFT_HEADER_LENGTH && isZero(bytes.subarray(28, 32));
}

/** Whether, by opening rule (c), the header area at `offset` is a candidate for the mirror of a file whose primary is damaged. */
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
 * Chooses the header of a file by the opening rule of spec §2.4. `known` has the bytes of the primary, if they were read before.
 * @throws {QdbError} if no header can be chosen: IO or SHORT_READ if bytes that decide the choice cannot be read; otherwise BAD_MAGIC,
 * TRUNCATED, UNSUPPORTED_VERSION or BAD_CHECKSUM. TRUNCATED if a draft ends inside its first cluster
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
  // A header area that cannot be read may be the right one. If no header is chosen, that read error is thrown, not one about other bytes.
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
  // After an interrupted commit, the mirror can be on the disk without its table. So the mirror is used only if the table matches it.
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

/**
 * Reads the bitmap table of a candidate for the mirror. Returns undefined if the table is not inside the file or does not match its
 * checksum, and the error if the table cannot be read.
 */
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

/** Makes the error that bytes which decide the choice of the header cannot be read. */
function unreadError(what: string, offset: number, cause: QdbError): QdbError {
  const where = { structure: "header", offset };
  return new QdbError(cause.code, `${what} cannot be read: ${cause.message}`, where, { cause });
}

/** Makes the error of a file in which no header can be chosen: the first that applies, in the order of QDB-OPN-009 to QDB-OPN-012. */
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
