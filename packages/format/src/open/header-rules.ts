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

/** A header area that was chosen, and how to speak of it. */
export interface HeaderArea {
  readonly form: Form;
  readonly header: Header;
  /** The bytes of the area: 4096, a draft's may be fewer. */
  readonly bytes: Uint8Array;
  /** Where it was read: 0, or the mirror's offset. */
  readonly offset: number;
  /** Of a draft: why the bytes behind `bytes` could not be read. */
  readonly unread?: Problem;
}

/** Where extensions stand in a header area: from align8(header_length), in draft form from 32, to min(cluster size, 4096). */
export function extensionSpace({ form, header, bytes }: HeaderArea): readonly [start: number, end: number] {
  const start = form === "draft" ? align8(DRAFT_HEADER_LENGTH) : align8(header.headerLength);
  const end = Math.min(2 ** header.clusterBits, HEADER_AREA_SIZE, bytes.length);
  return [Math.min(start, end), end];
}

/** Walks the extensions of a header area. Reports BAD_FIELD, DUPLICATE_TYPE, LIMIT; IO, SHORT_READ where they go on in bytes that could not be read. */
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

/** What must be known before anything else is looked at: version and incompatible bits. Reports UNSUPPORTED_VERSION, UNSUPPORTED_FEATURE. */
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
  // Names come from a part of the header that has not been validated yet: whatever is broken there only costs the name.
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

/** What can be found by a header whose fields were looked at. */
export interface Findable {
  readonly table: boolean;
  readonly extensions: boolean;
}

/** The rules of the header's other fields, by offset (spec §2, §7). Gives what can be found by them all the same. */
export function validateHeader(area: HeaderArea, fileSize: number, report: Report): Findable {
  const { header, form } = area;
  const full = form === "full";
  let table = true;
  let extensions = true;
  const bad = (field: keyof Header, code: Problem["code"], message: string): void => {
    report({ code, message, where: whereOf(area, field) });
  };
  const bitsOk = isClusterBits(header.clusterBits);
  if (!bitsOk) {
    table = false;
    extensions = false;
    bad(
      "clusterBits",
      "BAD_FIELD",
      `cluster_bits is ${header.clusterBits}, allowed are ${MIN_CLUSTER_BITS} to ${MAX_CLUSTER_BITS}`,
    );
  }
  if (header.nbBitmaps > MAX_BITMAPS) {
    table = false;
    bad("nbBitmaps", "LIMIT", `nb_bitmaps is ${header.nbBitmaps}, at most ${MAX_BITMAPS} are allowed`);
  }
  if (bitsOk && !validateTablePlace(area, fileSize, report)) table = false;
  const largest = bitsOk ? Math.min(2 ** header.clusterBits, HEADER_AREA_SIZE) : HEADER_AREA_SIZE;
  if (
    full &&
    (header.headerLength % 8 !== 0 || header.headerLength < FULL_HEADER_LENGTH || header.headerLength > largest)
  ) {
    extensions = false;
    bad(
      "headerLength",
      "BAD_FIELD",
      `header_length is ${header.headerLength}: neither 28 (draft form, bytes 28-31 zero) nor a multiple of 8 from ${FULL_HEADER_LENGTH} to ${largest}`,
    );
  }
  if (!full) return { table, extensions };
  if (header.bitmapsSize > MAX_TABLE_SIZE) {
    table = false;
    bad("bitmapsSize", "LIMIT", `bitmaps_size is ${header.bitmapsSize}, at most ${MAX_TABLE_SIZE} are allowed`);
  }
  if (header.nbBitmaps === 0 && header.bitmapsSize !== 0) {
    table = false;
    bad("bitmapsSize", "BAD_FIELD", "bitmaps_size must be 0 where nb_bitmaps is 0");
  }
  if (header.generation === 0n) bad("generation", "BAD_FIELD", "generation is 0; the first one is 1");
  if (header.nbBitmaps === 0 && header.tableChecksum !== 0) {
    bad("tableChecksum", "BAD_FIELD", "table_checksum must be 0 where nb_bitmaps is 0");
  }
  return { table, extensions };
}

function validateTablePlace(area: HeaderArea, fileSize: number, report: Report): boolean {
  const { header, form } = area;
  const where = whereOf(area, "bitmapsOffset");
  if ((header.bitmapsOffset === 0n) !== (header.nbBitmaps === 0)) {
    report({
      code: "BAD_FIELD",
      message: `bitmaps_offset is ${header.bitmapsOffset} where nb_bitmaps is ${header.nbBitmaps}: it is 0 exactly when there are none`,
      where,
    });
    return false;
  }
  if (header.nbBitmaps === 0) return true;
  const geometry = geometryOf(header, form, fileSize);
  const reference = {
    offset: fileOffset(header.bitmapsOffset),
    value: header.bitmapsOffset,
    // A draft's table has no length of its own; its first byte at least must be there.
    length: form === "full" ? header.bitmapsSize : 1,
    what: "the bitmap table",
    where,
  };
  return checkAligned(reference, geometry, report) && checkPlace(reference, geometry, report);
}
