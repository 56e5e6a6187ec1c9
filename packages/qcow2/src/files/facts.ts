// What an image says beside its bitmaps, by name where there is one.
import { decodeUtf8, type FeatureKind } from "@qdb/format/container";
import { FEATURE_KINDS, setBits } from "@qdb/format/internal";
import type { Qcow2Index } from "../bitmaps/qcow2-index.ts";
import {
  BITMAPS,
  DATA_FILE_NAME,
  type Extension,
  extensionsEnd,
  extensionsIn,
  featureNames,
} from "../image/extensions.ts";

/** A feature bit that is set. */
export interface Qcow2Feature {
  readonly bit: number;
  /** Its name; undefined if neither the qcow2 specification nor the image has one. */
  readonly name: string | undefined;
}

/** Names of the features by their bits (qcow2: Header). */
const FEATURES: Readonly<Record<FeatureKind, readonly string[]>> = {
  incompatible: ["dirty bit", "corrupt bit", "external data file", "compression type", "extended L2 entries"],
  compatible: ["lazy refcounts"],
  autoclear: ["bitmaps", "raw external data"],
};

/** Names of the header extensions by their types (qcow2: Header extensions). */
const EXTENSIONS: ReadonlyMap<number, string> = new Map([
  [0xe2792aca, "backing file format"],
  [0x6803f857, "feature name table"],
  [BITMAPS, "bitmaps"],
  [0x0537be77, "full disk encryption header"],
  [DATA_FILE_NAME, "external data file"],
]);

/** Returns the feature bits that are set, in ascending order. */
export function qcow2Features(index: Qcow2Index): Readonly<Record<FeatureKind, readonly Qcow2Feature[]>> {
  const { incompatibleFeatures, compatibleFeatures, autoclearFeatures } = index.header;
  const words = { incompatible: incompatibleFeatures, compatible: compatibleFeatures, autoclear: autoclearFeatures };
  const own = new Map<string, string>();
  for (const { kind, bit, name } of featureNames(qcow2Extensions(index))) own.set(`${kind} ${bit}`, name);
  const named = (kind: FeatureKind): readonly Qcow2Feature[] =>
    setBits(words[kind]).map((bit) => ({ bit, name: FEATURES[kind][bit] ?? own.get(`${kind} ${bit}`) }));
  const [incompatible, compatible, autoclear] = FEATURE_KINDS;
  return { incompatible: named(incompatible), compatible: named(compatible), autoclear: named(autoclear) };
}

/** Yields the header extensions in the order of the image. A version 2 image yields none: its extensions are not read. */
export function* qcow2Extensions({ header, headerArea }: Qcow2Index): Generator<Extension, void> {
  if (header.version === 3) yield* extensionsIn(headerArea, header.headerLength, extensionsEnd(header));
}

/** Returns the name of the type of a header extension; undefined if the qcow2 specification does not define the type. */
export function qcow2ExtensionName(type: number): string | undefined {
  return EXTENSIONS.get(type);
}

/** Returns the name of the external data file in its header extension; undefined if there is none in UTF-8. */
export function dataFileOf(index: Qcow2Index): string | undefined {
  for (const { type, data } of qcow2Extensions(index)) if (type === DATA_FILE_NAME) return decodeUtf8(data);
  return undefined;
}
