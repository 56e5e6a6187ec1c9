// Readers for the values of the JSON form. Each refuses a value whose syntax is not that of spec §6. `path` is the place in the JSON form,
// for messages. @throws {QdbError} USAGE with the place in the JSON form
import { itemAt } from "../elements.ts";
import type { JsonScanner, Parse } from "../json-text/scanner.ts";
import { encodeUtf8, fromHex, fromUuid, toUuid } from "../layout/text.ts";
import { EXTENSION_NAME_TABLE, type ExtensionName, FEATURE_NAME_TABLE } from "../records/extensions.ts";
import { encodeRecord, RECORD } from "../records/extra-data.ts";
import { FEATURE_KINDS, type FeatureName } from "../records/features.ts";
import type { Tlv } from "../records/tlv.ts";

const U64 = 2n ** 64n - 1n;

/** Reads a u64 as a string of decimal digits. A JSON number is refused, because many programs round large numbers. */
export function* u64Text(scanner: JsonScanner, path: string): Parse<bigint> {
  const text = yield* scanner.string(path);
  if (!/^(0|[1-9][0-9]{0,19})$/.test(text) || BigInt(text) > U64)
    scanner.fail(path, "a u64 as a string of decimal digits expected");
  return BigInt(text);
}

/** Reads an i64 as a string of decimal digits, with a minus sign if it is negative. */
export function* i64Text(scanner: JsonScanner, path: string): Parse<bigint> {
  const text = yield* scanner.string(path);
  const value = /^(0|-?[1-9][0-9]{0,18})$/.test(text) ? BigInt(text) : 2n ** 63n;
  if (value >= 2n ** 63n || value < -(2n ** 63n)) scanner.fail(path, "an i64 as a string of decimal digits expected");
  return value;
}

/** Reads bytes as hex digits in upper or lower case. If `length` is given, there must be exactly so many bytes. */
export function* hexBytes(scanner: JsonScanner, path: string, length?: number): Parse<Uint8Array> {
  const value = fromHex(yield* scanner.string(path));
  if (value === undefined || (length !== undefined && value.length !== length)) {
    scanner.fail(path, length === undefined ? "bytes as hex digits expected" : `${length * 2} hex digits expected`);
  }
  return value;
}

/** Reads `0x` and exactly `digits` hex digits. */
export function* hexWord(scanner: JsonScanner, path: string, digits: number): Parse<bigint> {
  const text = yield* scanner.string(path);
  if (!new RegExp(`^0x[0-9a-fA-F]{${digits}}$`).test(text))
    scanner.fail(path, `"0x" and ${digits} hex digits expected`);
  return BigInt(text);
}

/** Reads the type of an extension or record: `0x` and 8 hex digits, not 0. */
export function* typeWord(scanner: JsonScanner, path: string): Parse<number> {
  const type = Number(yield* hexWord(scanner, path, 8));
  if (type === 0) scanner.fail(path, "a type other than 0 expected");
  return type;
}

/** Reads a UUID. Returns its 16 bytes in the order of the text. */
export function* uuid(scanner: JsonScanner, path: string): Parse<Uint8Array> {
  const text = yield* scanner.string(path);
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text))
    scanner.fail(path, "a UUID (8-4-4-4-12 hex digits) expected");
  return fromUuid(text);
}

function* name(scanner: JsonScanner, path: string, maxBytes: number): Parse<string> {
  const text = yield* scanner.string(path);
  const { length } = encodeUtf8(text);
  if (length < 1 || length > maxBytes || text.includes("\0"))
    scanner.fail(path, `a name of 1 to ${maxBytes} bytes without NUL expected`);
  return text;
}

/** Reads an entry of a feature name table. */
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

/** Reads an entry of an extension name table. */
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

/** The keys of a record of each known type, without `type`. */
const RECORD_KEYS: Readonly<Record<number, readonly string[]>> = {
  [RECORD.disk]: ["disk"],
  [RECORD.stamp]: ["length", "mtime", "file"],
  [RECORD.id]: ["id"],
  [RECORD.parent]: ["parent"],
  [RECORD.created]: ["created"],
  [RECORD.comment]: ["comment"],
  [RECORD.successor]: ["successor"],
  [RECORD.session]: ["session", "file"],
};

/** The values of a record object by key, kept apart by their types. */
class RecordValues {
  readonly #scanner: JsonScanner;
  readonly #texts = new Map<string, string>();
  readonly #numbers = new Map<string, bigint>();
  readonly #bytes = new Map<string, Uint8Array>();
  type = 0;

  constructor(scanner: JsonScanner) {
    this.#scanner = scanner;
  }

  /** Returns a reader for each key that a record can have, for {@link JsonScanner.object}. */
  readers(): Readonly<Record<string, (place: string) => Parse<void>>> {
    const scanner: JsonScanner = this.#scanner;
    const text = (key: string) => (place: string) => store(this.#texts, key, scanner.string(place));
    const u64 = (key: string) => (place: string) => store(this.#numbers, key, u64Text(scanner, place));
    const i64 = (key: string) => (place: string) => store(this.#numbers, key, i64Text(scanner, place));
    const id = (key: string) => (place: string) => store(this.#bytes, key, uuid(scanner, place));
    return {
      type: (place) => this.#readType(place),
      data: (place) => store(this.#bytes, "data", hexBytes(scanner, place)),
      disk: text("disk"),
      comment: text("comment"),
      successor: text("successor"),
      length: u64("length"),
      mtime: i64("mtime"),
      file: u64("file"),
      created: i64("created"),
      id: id("id"),
      parent: id("parent"),
      session: id("session"),
    };
  }

  *#readType(place: string): Parse<void> {
    this.type = yield* typeWord(this.#scanner, place);
  }

  text(key: string): string {
    return given(this.#texts, key);
  }

  number(key: string): bigint {
    return given(this.#numbers, key);
  }

  bytes(key: string): Uint8Array {
    return given(this.#bytes, key);
  }
}

function* store<T>(values: Map<string, T>, key: string, value: Parse<T>): Parse<void> {
  values.set(key, yield* value);
}

function given<T>(values: ReadonlyMap<string, T>, key: string): T {
  const value = values.get(key);
  if (value === undefined) throw new Error(`a record without ${key} was accepted`);
  return value;
}

/** Reads a record of the extra data: `type` with the keys of that type of record, or `type` with `data`. */
export function* recordObject(scanner: JsonScanner, path: string): Parse<Tlv> {
  const values = new RecordValues(scanner);
  const keys = yield* scanner.object(path, values.readers());
  if (!keys.has("type")) scanner.fail(path, "type is needed");
  const { type } = values;
  const others = [...keys].filter((key) => key !== "type");
  if (others.length === 1 && others[0] === "data") return { type, data: values.bytes("data") };
  const expected = RECORD_KEYS[type] ?? ["data"];
  if (others.length !== expected.length || !expected.every((key) => keys.has(key))) {
    scanner.fail(path, `a record of this type has ${expected.join(", ")}`);
  }
  switch (type) {
    case RECORD.id:
      return { type, data: values.bytes("id") };
    case RECORD.parent:
      return { type, data: values.bytes("parent") };
    case RECORD.created:
      return encodeRecord({ kind: "created", ns: values.number("created") });
    case RECORD.stamp: {
      const [length, mtime, file] = [values.number("length"), values.number("mtime"), values.number("file")];
      return encodeRecord({ kind: "stamp", stamp: { length, mtime, file } });
    }
    case RECORD.session: {
      const file = values.number("file");
      if (file === 0n) scanner.fail(path, "a session with the file id of its shell expected, which is not 0");
      return encodeRecord({ kind: "session", session: { id: toUuid(values.bytes("session")), file } });
    }
    default:
      return { type, data: encodeUtf8(values.text(itemAt(expected, 0))) };
  }
}
