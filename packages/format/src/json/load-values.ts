// Readers of the JSON form's values: each checks the syntax that spec §6 gives to its kind of value.
import { encodeUtf8, fromHex, fromUuid } from "../layout/text.ts";
import { EXTENSION_NAME_TABLE, type ExtensionName, FEATURE_NAME_TABLE } from "../records/extensions.ts";
import { encodeRecord, RECORD } from "../records/extra-data.ts";
import { FEATURE_KINDS, type FeatureName } from "../records/features.ts";
import type { Tlv } from "../records/tlv.ts";
import type { JsonScanner, Parse } from "./scanner.ts";

const U64 = 2n ** 64n - 1n;

/** A u64 as a string of decimal digits; a number is refused, since JSON readers round those. */
export function* u64Text(scanner: JsonScanner, path: string): Parse<bigint> {
  const text = yield* scanner.string(path);
  if (!/^(0|[1-9][0-9]{0,19})$/.test(text) || BigInt(text) > U64)
    scanner.fail(path, "a u64 as a string of decimal digits expected");
  return BigInt(text);
}

/** An i64 as a string. */
export function* i64Text(scanner: JsonScanner, path: string): Parse<bigint> {
  const text = yield* scanner.string(path);
  const value = /^(0|-?[1-9][0-9]{0,18})$/.test(text) ? BigInt(text) : 2n ** 63n;
  if (value >= 2n ** 63n || value < -(2n ** 63n)) scanner.fail(path, "an i64 as a string of decimal digits expected");
  return value;
}

/** Bytes as hex, of either case; of a certain length when one is given. */
export function* hexBytes(scanner: JsonScanner, path: string, length?: number): Parse<Uint8Array> {
  const value = fromHex(yield* scanner.string(path));
  if (value === undefined || (length !== undefined && value.length !== length)) {
    scanner.fail(path, length === undefined ? "bytes as hex digits expected" : `${length * 2} hex digits expected`);
  }
  return value;
}

/** `0x` and so many hex digits, as a number. */
export function* hexWord(scanner: JsonScanner, path: string, digits: number): Parse<bigint> {
  const text = yield* scanner.string(path);
  if (!new RegExp(`^0x[0-9a-fA-F]{${digits}}$`).test(text))
    scanner.fail(path, `"0x" and ${digits} hex digits expected`);
  return BigInt(text);
}

/** The type of an extension or record: `0x` and 8 hex digits, not 0, which ends a row of them. */
export function* typeWord(scanner: JsonScanner, path: string): Parse<number> {
  const type = Number(yield* hexWord(scanner, path, 8));
  if (type === 0) scanner.fail(path, "a type other than 0 expected");
  return type;
}

/** A UUID's 16 bytes. */
export function* uuid(scanner: JsonScanner, path: string): Parse<Uint8Array> {
  const text = yield* scanner.string(path);
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text))
    scanner.fail(path, "a UUID (8-4-4-4-12 hex digits) expected");
  return fromUuid(text);
}

function* name(scanner: JsonScanner, path: string, most: number): Parse<string> {
  const text = yield* scanner.string(path);
  const { length } = encodeUtf8(text);
  if (length < 1 || length > most || text.includes("\0"))
    scanner.fail(path, `a name of 1 to ${most} bytes without NUL expected`);
  return text;
}

/** An entry of a feature name table. */
export function* featureNameObject(scanner: JsonScanner, path: string): Parse<FeatureName> {
  let entry: { kind?: FeatureName["kind"]; bit?: number; name?: string } = {};
  yield* scanner.object(path, {
    *kind(place) {
      const text = yield* scanner.string(place);
      const kind = FEATURE_KINDS.find((known) => known === text);
      if (kind === undefined) scanner.fail(place, "incompatible, compatible or autoclear expected");
      entry = { ...entry, kind };
    },
    *bit(place) {
      const bit = yield* scanner.u32(place);
      if (bit > 63) scanner.fail(place, "a bit from 0 to 63 expected");
      entry = { ...entry, bit };
    },
    *name(place) {
      entry = { ...entry, name: yield* name(scanner, place, 46) };
    },
  });
  if (entry.kind === undefined || entry.bit === undefined || entry.name === undefined) {
    scanner.fail(path, "kind, bit and name are needed");
  }
  return { kind: entry.kind, bit: entry.bit, name: entry.name };
}

/** An entry of an extension name table. */
export function* extensionNameObject(scanner: JsonScanner, path: string): Parse<ExtensionName> {
  let entry: { type?: number; name?: string } = {};
  yield* scanner.object(path, {
    *type(place) {
      entry = { ...entry, type: yield* typeWord(scanner, place) };
    },
    *name(place) {
      entry = { ...entry, name: yield* name(scanner, place, 44) };
    },
  });
  if (entry.type === undefined || entry.name === undefined) scanner.fail(path, "type and name are needed");
  if (entry.type === FEATURE_NAME_TABLE || entry.type === EXTENSION_NAME_TABLE) {
    scanner.fail(path, "version 1 defines this type: it needs no name (QDB-EXT-020)");
  }
  return { type: entry.type, name: entry.name };
}

/** The keys of a record beside its type, by kind of record. */
const RECORD_KEYS: Readonly<Record<number, readonly string[]>> = {
  [RECORD.disk]: ["disk"],
  [RECORD.stamp]: ["length", "mtime", "file"],
  [RECORD.id]: ["id"],
  [RECORD.parent]: ["parent"],
  [RECORD.created]: ["created"],
  [RECORD.comment]: ["comment"],
  [RECORD.successor]: ["successor"],
};

/** An extra-data record: type and the keys of its kind, or type and bytes. */
export function* recordObject(scanner: JsonScanner, path: string): Parse<Tlv> {
  let type = -1;
  let data = new Uint8Array(0);
  const texts = new Map<string, string>();
  const numbers = new Map<string, bigint>();
  let id = new Uint8Array(0);
  const text = function* (key: string, place: string): Parse<void> {
    texts.set(key, yield* scanner.string(place));
  };
  const keys = yield* scanner.object(path, {
    *type(place) {
      type = yield* typeWord(scanner, place);
    },
    *data(place) {
      data = new Uint8Array(yield* hexBytes(scanner, place));
    },
    disk: (place) => text("disk", place),
    comment: (place) => text("comment", place),
    successor: (place) => text("successor", place),
    *length(place) {
      numbers.set("length", yield* u64Text(scanner, place));
    },
    *mtime(place) {
      numbers.set("mtime", yield* i64Text(scanner, place));
    },
    *file(place) {
      numbers.set("file", yield* u64Text(scanner, place));
    },
    *created(place) {
      numbers.set("created", yield* i64Text(scanner, place));
    },
    *id(place) {
      id = new Uint8Array(yield* uuid(scanner, place));
    },
    *parent(place) {
      id = new Uint8Array(yield* uuid(scanner, place));
    },
  });
  const given = [...keys].filter((key) => key !== "type");
  if (!keys.has("type")) scanner.fail(path, "type is needed");
  if (given.length === 1 && given[0] === "data") return { type, data };
  const expected = RECORD_KEYS[type] ?? ["data"];
  if (given.length !== expected.length || !expected.every((key) => keys.has(key))) {
    scanner.fail(path, `a record of this type has ${expected.join(", ")}`);
  }
  const of = (key: string): bigint => numbers.get(key) ?? 0n;
  if (type === RECORD.id || type === RECORD.parent) return { type, data: id };
  if (type === RECORD.created) return encodeRecord({ kind: "created", ns: of("created") });
  if (type === RECORD.stamp) {
    return encodeRecord({ kind: "stamp", stamp: { length: of("length"), mtime: of("mtime"), file: of("file") } });
  }
  return { type, data: encodeUtf8(texts.get(expected[0] ?? "") ?? "") };
}
