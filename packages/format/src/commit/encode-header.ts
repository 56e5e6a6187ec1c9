import type { BitmapShape } from "../bitmap/shape.ts";
import { QdbError, throwFirst } from "../errors.ts";
import { specName } from "../layout/struct.ts";
import {
  HEADER_AREA_SIZE,
  isClusterBits,
  MAX_BITMAPS,
  MAX_CLUSTER_BITS,
  MAX_EXTENSIONS,
  MIN_CLUSTER_BITS,
} from "../limits.ts";
import { extensionSpace, walkExtensions } from "../open/header-rules.ts";
import { encodeFeatureNames, FEATURE_NAME_TABLE } from "../records/extensions.ts";
import { ALL_ONES_CLUSTERS, FEATURES } from "../records/features.ts";
import {
  DRAFT_HEADER,
  DRAFT_HEADER_LENGTH,
  type Form,
  FULL_HEADER_LENGTH,
  HEADER,
  type Header,
  MAGIC,
  VERSION,
} from "../records/header.ts";
import { type Tlv, tlvSize, writeTlv } from "../records/tlv.ts";
import type { FileContents } from "./file-contents.ts";

/**
 * Returns the header of a new file. Offset, length and checksum of the bitmap table are still 0, since the table has no place yet.
 * @throws {QdbError} BAD_FIELD for an impossible cluster_bits or an id that is not 16 bytes long; LIMIT for too many bitmaps; NOT_SUPPORTED
 * for all-ones clusters in draft form
 */
export function newHeader(contents: FileContents<BitmapShape>): Header {
  const { clusterBits, bitmaps, form, allOnes } = contents;
  if (!isClusterBits(clusterBits)) {
    throw new QdbError(
      "BAD_FIELD",
      `cluster_bits is ${clusterBits}, allowed are ${MIN_CLUSTER_BITS} to ${MAX_CLUSTER_BITS}`,
      { structure: "header", field: "cluster_bits" },
    );
  }
  if (bitmaps.length > MAX_BITMAPS) {
    throw new QdbError("LIMIT", `${bitmaps.length} bitmaps are more than ${MAX_BITMAPS}`, {
      structure: "header",
      field: "nb_bitmaps",
    });
  }
  if (form === "draft" && allOnes) {
    throw new QdbError("NOT_SUPPORTED", "a draft file has no all-ones clusters; write it in full form", {
      structure: "header",
      field: "incompatible_features",
    });
  }
  const full = form === "full";
  if (full) for (const field of ["fileId", "writerId"] as const) requireId(contents[field], field);
  return {
    magic: MAGIC,
    version: VERSION,
    clusterBits,
    nbBitmaps: bitmaps.length,
    bitmapsOffset: 0n,
    headerLength: full ? FULL_HEADER_LENGTH : DRAFT_HEADER_LENGTH,
    bitmapsSize: 0,
    incompatibleFeatures: allOnes ? ALL_ONES_CLUSTERS : 0n,
    compatibleFeatures: 0n,
    autoclearFeatures: 0n,
    generation: full ? 1n : 0n,
    tableChecksum: 0,
    headerChecksum: 0,
    writerId: contents.writerId,
    fileId: contents.fileId,
  };
}

function requireId(id: Uint8Array, field: "fileId" | "writerId"): void {
  if (id.length === 16) return;
  const name = specName(field);
  throw new QdbError("BAD_FIELD", `${name} has ${id.length} bytes, it needs 16`, { structure: "header", field: name });
}

/**
 * Returns the bytes of a header area, with header and extensions but without the header checksum. The area has 4096 bytes; that of a draft
 * has one cluster if that is shorter.
 * @throws {QdbError} BAD_FIELD or DUPLICATE_TYPE for an extension that breaks a rule; LIMIT if the extensions do not fit
 */
export function encodeHeaderArea(header: Header, form: Form, given: readonly Tlv[]): Uint8Array {
  const size = form === "full" ? HEADER_AREA_SIZE : Math.min(2 ** header.clusterBits, HEADER_AREA_SIZE);
  const bytes = new Uint8Array(size);
  if (form === "full") HEADER.encode(header, bytes);
  else DRAFT_HEADER.encode(header, bytes);
  const names = FEATURES.filter(
    ({ kind, bit }) => kind === "incompatible" && ((header.incompatibleFeatures >> BigInt(bit)) & 1n) === 1n,
  );
  const features = { type: FEATURE_NAME_TABLE, data: encodeFeatureNames(names) };
  const others = given.filter(({ type }) => type !== FEATURE_NAME_TABLE);
  const extensions = names.length === 0 ? others : [features, ...others];
  if (others.some(({ type }) => type === 0)) {
    // A reader would take an extension of type 0 for the end mark, and would not see this extension or any after it.
    throw new QdbError("BAD_FIELD", "a header extension of type 0 cannot be stored", {
      structure: "header extension",
      field: "type",
    });
  }
  const area = { form, header, bytes, offset: 0 };
  const [start, end] = extensionSpace(area);
  if (extensions.length > MAX_EXTENSIONS || start + tlvSize(extensions) > end) {
    throw new QdbError(
      "LIMIT",
      `${extensions.length} header extensions of ${tlvSize(extensions)} bytes do not fit: ${end - start} bytes and ${MAX_EXTENSIONS} extensions are what there is; larger clusters give more room`,
      { structure: "header extension" },
    );
  }
  writeTlv(extensions, bytes, start);
  walkExtensions(area, throwFirst);
  return bytes;
}
