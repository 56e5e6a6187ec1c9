import type { Problem, Report } from "../errors.ts";
import { align8, fileOffset } from "../layout/numbers.ts";
import { specName } from "../layout/struct.ts";
import {
  HEADER_AREA_SIZE,
  isClusterBits,
  MAX_BITMAPS,
  MAX_CLUSTER_BITS,
  MAX_EXTENSIONS,
  MAX_TABLE_SIZE,
  MIN_CLUSTER_BITS,
} from "../limits.ts";
import { quote } from "../quote.ts";
import { announcedFeatures } from "../records/extensions.ts";
import { featureName, KNOWN_INCOMPATIBLE, setBits } from "../records/features.ts";
import { DRAFT_HEADER_LENGTH, type Form, FULL_HEADER_LENGTH, HEADER, type Header, VERSION } from "../records/header.ts";
import { type TlvWalk, walkTlv } from "../records/tlv.ts";
import { checkAligned, checkPlace, geometryOf } from "./geometry.ts";

/** A header area with its decoded header. */
export interface HeaderArea {
  readonly form: Form;
  readonly header: Header;
  /** The bytes of the header area: 4096, or fewer for a draft if the file is shorter or cannot be read that far. */
  readonly bytes: Uint8Array;
  /** File offset of the header area in bytes: 0, or the offset of the mirror. */
  readonly offset: number;
  /** The error of reading the bytes that follow `bytes`, if they could not be read. Only a draft can have it. */
  readonly unread?: Problem;
}

/**
 * Returns the range of a header area that can hold extensions: from align8(header_length), in draft form from 32, to min(cluster size,
 * 4096).
 */
export function extensionSpace({ form, header, bytes }: HeaderArea): readonly [start: number, end: number] {
  const start = form === "draft" ? align8(DRAFT_HEADER_LENGTH) : align8(header.headerLength);
  const end = Math.min(2 ** header.clusterBits, HEADER_AREA_SIZE, bytes.length);
  return [Math.min(start, end), end];
}

/**
 * Walks the extensions of a header area. Reports BAD_FIELD, DUPLICATE_TYPE, LIMIT; IO or SHORT_READ if the extensions continue in bytes
 * that could not be read.
 */
export function walkExtensions(area: HeaderArea, report: Report): TlvWalk {
  const [start, end] = extensionSpace(area);
  const problems: Problem[] = [];
  const walk = walkTlv(
    area.bytes.subarray(start, end),
    { structure: "header extension", endMark: true, maxItems: MAX_EXTENSIONS, fileOffset: area.offset + start },
    (problem) => problems.push(problem),
  );
  if (area.unread !== undefined && !walk.hasEndMark && end === area.bytes.length) {
    report(area.unread);
    return { ...walk, isBroken: true };
  }
  for (const problem of problems) report(problem);
  return walk;
}

function whereOf(area: HeaderArea, field: keyof Header): Problem["where"] {
  return { structure: "header", field: specName(field), offset: area.offset + HEADER.fields[field][0] };
}

/**
 * Validates version and incompatible bits. If it reports a problem, no other rule applies to the file, since its format is unknown. Reports
 * UNSUPPORTED_VERSION, UNSUPPORTED_FEATURE.
 */
export function validateIdentity(area: HeaderArea, report: Report): void {
  const { header } = area;
  if (header.version !== VERSION) {
    report({
      code: "UNSUPPORTED_VERSION",
      message: `version ${header.version} is not known; this reader knows version ${VERSION}`,
      where: whereOf(area, "version"),
    });
    return;
  }
  const unknown = header.incompatibleFeatures & ~KNOWN_INCOMPATIBLE;
  if (unknown === 0n) return;
  // The names of features are in the extensions, which are not validated yet. If the extensions are broken, the message has no names.
  const bitsOk = isClusterBits(header.clusterBits);
  const table = bitsOk ? announcedFeatures(walkExtensions(area, () => undefined).items) : [];
  const names = setBits(unknown).map((bit) => {
    const name = featureName("incompatible", bit, table);
    return name === undefined ? `bit ${bit}` : `bit ${bit} (${quote(name)})`;
  });
  report({
    code: "UNSUPPORTED_FEATURE",
    message: `the file needs incompatible feature ${names.join(", ")}, which this reader does not know`,
    where: whereOf(area, "incompatibleFeatures"),
  });
}

/** Which structures can be found by the fields of a header: false if a field that gives the place of the structure breaks a rule. */
export interface Findable {
  readonly table: boolean;
  readonly extensions: boolean;
}

/** Reports a problem of a header field. Always returns false, so that a check can end with `return report(…)`. */
type ReportField = (field: keyof Header, code: Problem["code"], message: string) => false;

/**
 * Applies the rules of the fields that `validateIdentity` does not check, in the order of their offsets (spec §2, §7). Returns which
 * structures can be found in spite of the problems.
 */
export function validateHeader(area: HeaderArea, fileSize: number, report: Report): Findable {
  const { header, form } = area;
  const bad: ReportField = (field, code, message) => {
    report({ code, message, where: whereOf(area, field) });
    return false;
  };
  const isSized = validateClusterBits(header, bad);
  const isCounted =
    header.nbBitmaps <= MAX_BITMAPS ||
    bad("nbBitmaps", "LIMIT", `nb_bitmaps is ${header.nbBitmaps}, at most ${MAX_BITMAPS} are allowed`);
  const isPlaced = isSized && validateTablePlace(area, fileSize, report);
  const isFull = form === "full";
  const extensions = (!isFull || validateHeaderLength(header, isSized, bad)) && isSized;
  const table = (!isFull || validateFullFields(header, bad)) && isCounted && isPlaced;
  return { table, extensions };
}

function validateClusterBits({ clusterBits }: Header, bad: ReportField): boolean {
  if (isClusterBits(clusterBits)) return true;
  const message = `cluster_bits is ${clusterBits}, allowed are ${MIN_CLUSTER_BITS} to ${MAX_CLUSTER_BITS}`;
  return bad("clusterBits", "BAD_FIELD", message);
}

function validateHeaderLength({ headerLength, clusterBits }: Header, isSized: boolean, bad: ReportField): boolean {
  const largest = isSized ? Math.min(2 ** clusterBits, HEADER_AREA_SIZE) : HEADER_AREA_SIZE;
  if (headerLength % 8 === 0 && headerLength >= FULL_HEADER_LENGTH && headerLength <= largest) return true;
  const message = `header_length is ${headerLength}: neither 28 (draft form, bytes 28-31 zero) nor a multiple of 8 from ${FULL_HEADER_LENGTH} to ${largest}`;
  return bad("headerLength", "BAD_FIELD", message);
}

/** Applies the rules of the fields that only the full form has. Returns whether the length of the bitmap table is valid. */
function validateFullFields(header: Header, bad: ReportField): boolean {
  const { bitmapsSize, nbBitmaps, generation, tableChecksum } = header;
  let hasLength = true;
  if (bitmapsSize > MAX_TABLE_SIZE)
    hasLength = bad("bitmapsSize", "LIMIT", `bitmaps_size is ${bitmapsSize}, at most ${MAX_TABLE_SIZE} are allowed`);
  if (nbBitmaps === 0 && bitmapsSize !== 0)
    hasLength = bad("bitmapsSize", "BAD_FIELD", "bitmaps_size must be 0 if nb_bitmaps is 0");
  if (generation === 0n) bad("generation", "BAD_FIELD", "generation is 0; the first one is 1");
  if (nbBitmaps === 0 && tableChecksum !== 0)
    bad("tableChecksum", "BAD_FIELD", "table_checksum must be 0 if nb_bitmaps is 0");
  return hasLength;
}

function validateTablePlace(area: HeaderArea, fileSize: number, report: Report): boolean {
  const { header, form } = area;
  const where = whereOf(area, "bitmapsOffset");
  if ((header.bitmapsOffset === 0n) !== (header.nbBitmaps === 0)) {
    report({
      code: "BAD_FIELD",
      message: `bitmaps_offset is ${header.bitmapsOffset}, but nb_bitmaps is ${header.nbBitmaps}: it is 0 exactly when there are none`,
      where,
    });
    return false;
  }
  if (header.nbBitmaps === 0) return true;
  const geometry = geometryOf(header, form, fileSize);
  const reference = {
    offset: fileOffset(header.bitmapsOffset),
    value: header.bitmapsOffset,
    // The length of the table of a draft is not known yet, but the first byte of the table must be in the file.
    length: form === "full" ? header.bitmapsSize : 1,
    what: "the bitmap table",
    where,
  };
  return checkAligned(reference, geometry, report) && checkPlace(reference, geometry, report);
}
