import { bytes, u8, u32 } from "../layout/fields.ts";
import { struct } from "../layout/struct.ts";
import { decodeUtf8, encodeUtf8 } from "../layout/text.ts";
import { FEATURE_KINDS, type FeatureName } from "./features.ts";
import type { Tlv } from "./tlv.ts";

/** Type of the feature name table, as in qcow2. */
export const FEATURE_NAME_TABLE = 0x6803f857;
/** Type of the extension name table, "QDNM" in ASCII. */
export const EXTENSION_NAME_TABLE = 0x51444e4d;

/** An entry of the feature name table: spec §2, 48 bytes. */
export const FEATURE_NAME = struct("feature name", 48, {
  kind: [0, u8],
  bit: [1, u8],
  name: [2, bytes(46)],
});

/** An entry of the extension name table: spec §2, 48 bytes. */
export const EXTENSION_NAME = struct("extension name", 48, {
  type: [0, u32],
  name: [4, bytes(44)],
});

/** The name of an extension type that version 1 does not define. */
export interface ExtensionName {
  readonly type: number;
  readonly name: string;
}

/** Returns the text of a zero-padded name; undefined if the name is empty or not UTF-8, or if a byte after the first zero is not zero. */
function paddedName(field: Uint8Array): string | undefined {
  const zero = field.indexOf(0);
  const end = zero < 0 ? field.length : zero;
  if (end === 0 || field.subarray(end).some((byte) => byte !== 0)) return undefined;
  return decodeUtf8(field.subarray(0, end));
}

function entries<T>(data: Uint8Array, size: number, decode: (at: number) => T | undefined): T[] | undefined {
  if (data.length % size !== 0) return undefined;
  const result: T[] = [];
  for (let at = 0; at < data.length; at += size) {
    const entry = decode(at);
    if (entry === undefined) return undefined;
    result.push(entry);
  }
  return result;
}

/** Parses a feature name table. Returns undefined if it breaks a rule; the extension is then shown as unknown bytes. */
export function parseFeatureNames(data: Uint8Array): readonly FeatureName[] | undefined {
  return entries(data, FEATURE_NAME.size, (at) => {
    const entry = FEATURE_NAME.decode(data, at);
    const kind = FEATURE_KINDS[entry.kind];
    const name = paddedName(entry.name);
    return kind === undefined || entry.bit > 63 || name === undefined ? undefined : { kind, bit: entry.bit, name };
  });
}

/** Encodes a feature name table. The caller ensures that names have at most 46 bytes. */
export function encodeFeatureNames(names: readonly FeatureName[]): Uint8Array {
  const data = new Uint8Array(names.length * FEATURE_NAME.size);
  names.forEach(({ kind, bit, name }, index) => {
    FEATURE_NAME.encode(
      { kind: FEATURE_KINDS.indexOf(kind), bit, name: encodeUtf8(name) },
      data,
      index * FEATURE_NAME.size,
    );
  });
  return data;
}

/** Parses an extension name table. Returns undefined if it breaks a rule. */
export function parseExtensionNames(data: Uint8Array): readonly ExtensionName[] | undefined {
  return entries(data, EXTENSION_NAME.size, (at) => {
    const entry = EXTENSION_NAME.decode(data, at);
    const name = paddedName(entry.name);
    return name === undefined ? undefined : { type: entry.type, name };
  });
}

/** Encodes an extension name table. The caller ensures that names have at most 44 bytes. */
export function encodeExtensionNames(names: readonly ExtensionName[]): Uint8Array {
  const data = new Uint8Array(names.length * EXTENSION_NAME.size);
  names.forEach(({ type, name }, index) => {
    EXTENSION_NAME.encode({ type, name: encodeUtf8(name) }, data, index * EXTENSION_NAME.size);
  });
  return data;
}

/** Returns the names in the feature name table of a file; an empty list if there is no such table, or if it breaks a rule. */
export function announcedFeatures(extensions: readonly Tlv[]): readonly FeatureName[] {
  const table = extensions.find((item) => item.type === FEATURE_NAME_TABLE);
  const names = table === undefined ? undefined : parseFeatureNames(table.data);
  return names ?? [];
}

/** Returns the name of an extension type, as version 1 or the extension name table of the file gives it; undefined if neither does. */
export function extensionName(type: number, extensions: readonly Tlv[]): string | undefined {
  if (type === FEATURE_NAME_TABLE) return "feature name table";
  if (type === EXTENSION_NAME_TABLE) return "extension name table";
  const table = extensions.find((item) => item.type === EXTENSION_NAME_TABLE);
  const names = table === undefined ? undefined : parseExtensionNames(table.data);
  return names?.find((entry) => entry.type === type)?.name;
}
