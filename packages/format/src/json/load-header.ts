import type { JsonScanner, Parse } from "../json-text/scanner.ts";
import { MAX_EXTENSIONS } from "../limits.ts";
import { EXTENSION_NAME_TABLE, encodeExtensionNames, FEATURE_NAME_TABLE } from "../records/extensions.ts";
import { ALL_ONES_CLUSTERS, KNOWN_INCOMPATIBLE, setBits } from "../records/features.ts";
import type { Form } from "../records/header.ts";
import type { Tlv } from "../records/tlv.ts";
import { extensionNameObject, featureNameObject, hexBytes, hexWord, typeWord, u64Text, uuid } from "./load-values.ts";

/** The values that a new file takes from the header object. */
export interface HeaderValues {
  form?: Form;
  clusterBits?: number;
  fileId: Uint8Array;
  allOnes: boolean;
}

/**
 * Reads the header object into `header`. Keys whose values follow from the contents, such as `nb_bitmaps`, must have the right syntax but
 * are not used.
 */
export function* headerObject(scanner: JsonScanner, path: string, header: HeaderValues): Parse<void> {
  const number = function* (place: string): Parse<void> {
    yield* scanner.u32(place);
  };
  const long = function* (place: string): Parse<void> {
    yield* u64Text(scanner, place);
  };
  const word = function* (place: string): Parse<void> {
    yield* hexWord(scanner, place, 16);
  };
  const checksum = function* (place: string): Parse<void> {
    yield* hexBytes(scanner, place, 4);
  };
  yield* scanner.object(path, {
    *form(place) {
      const form = yield* scanner.string(place);
      if (form !== "full" && form !== "draft") scanner.fail(place, '"full" or "draft" expected');
      header.form = form;
    },
    version: number,
    *cluster_bits(place) {
      header.clusterBits = yield* scanner.u32(place);
    },
    nb_bitmaps: number,
    bitmaps_offset: long,
    header_length: number,
    bitmaps_size: number,
    *incompatible_features(place) {
      const bits = yield* hexWord(scanner, place, 16);
      const unknown = setBits(bits & ~KNOWN_INCOMPATIBLE);
      if (unknown.length > 0)
        scanner.fail(place, `incompatible bits ${unknown.join(", ")} are not known to this writer`);
      header.allOnes = (bits & ALL_ONES_CLUSTERS) !== 0n;
    },
    compatible_features: word,
    autoclear_features: word,
    generation: long,
    table_checksum: checksum,
    header_checksum: checksum,
    *writer_id(place) {
      yield* uuid(scanner, place);
    },
    *file_id(place) {
      header.fileId = yield* uuid(scanner, place);
    },
  });
}

/** Reads an extension object and adds it to `extensions`. A feature name table is not added: the writer of the file makes its own. */
export function* extensionObject(scanner: JsonScanner, path: string, extensions: Tlv[]): Parse<void> {
  let type = -1;
  let data: Uint8Array | undefined;
  const names: Parameters<typeof encodeExtensionNames>[0][number][] = [];
  const keys = yield* scanner.object(path, {
    *type(place) {
      type = yield* typeWord(scanner, place);
    },
    *data(place) {
      data = yield* hexBytes(scanner, place);
    },
    features: (place) =>
      scanner.array(place, function* (item) {
        yield* featureNameObject(scanner, item);
      }),
    names: (place) =>
      scanner.array(place, function* (item) {
        names.push(yield* extensionNameObject(scanner, item));
      }),
  });
  if (!keys.has("type") || keys.size !== 2) scanner.fail(path, "type, and one of data, features, names are needed");
  if (keys.has("features") && type !== FEATURE_NAME_TABLE) scanner.fail(path, "features belong to type 0x6803f857");
  if (keys.has("names") && type !== EXTENSION_NAME_TABLE) scanner.fail(path, "names belong to type 0x51444e4d");
  if (type === FEATURE_NAME_TABLE) return;
  if (extensions.length >= MAX_EXTENSIONS) scanner.fail(path, `more than ${MAX_EXTENSIONS} extensions`);
  extensions.push({ type, data: data ?? encodeExtensionNames(names) });
}
