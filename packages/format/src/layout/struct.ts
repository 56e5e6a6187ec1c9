import { type FieldType, viewOf } from "./fields.ts";

/** A row of a field table: offset in the structure in bytes, type, meaning with unit, id of the rule in `spec/qdb.md`. */
export type FieldRow<T> = readonly [offset: number, type: FieldType<T>, meaning: string, rule: string];

/** A field table. Its keys are the names of the spec in camelCase. */
export type Fields = Readonly<Record<string, FieldRow<unknown>>>;

/** The decoded value of a structure with a field table. */
export type Decoded<F extends Fields> = { -readonly [K in keyof F]: F[K] extends FieldRow<infer T> ? T : never };

/** A structure of the format. One field table defines how it is read, written and described. */
export interface Struct<F extends Fields> {
  readonly name: string;
  /** Length in bytes. */
  readonly size: number;
  readonly fields: F;
  /** Reads the structure at byte `at`. @throws {RangeError} if the bytes end inside it: the caller checks that before */
  decode(bytes: Uint8Array, at?: number): Decoded<F>;
  /** Writes the structure at byte `at`. */
  encode(value: Readonly<Decoded<F>>, bytes: Uint8Array, at?: number): void;
}

/** The name of a field in the spec: `clusterBits` is `cluster_bits`. */
export function specName(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** Declares a structure. Throws for a gap, an overlap or a wrong size in the table: then the module does not load. */
export function struct<const F extends Fields>(name: string, size: number, fields: F): Struct<F> {
  const rows = Object.entries(fields) as [keyof F & string, FieldRow<unknown>][];
  let end = 0;
  for (const [key, [offset, type]] of rows) {
    if (offset !== end) throw new Error(`layout ${name}.${key}: declared at ${offset}, previous field ends at ${end}`);
    end += type.size;
  }
  if (end !== size) throw new Error(`layout ${name}: declared ${size} bytes, fields take ${end}`);
  // Filling in a copy of an object with all keys is faster than adding keys: tables have thousands of structures.
  const blank = Object.fromEntries(rows.map(([key]) => [key, undefined]));
  return {
    name,
    size,
    fields,
    decode(bytes, at = 0) {
      const view = viewOf(bytes);
      const value: Record<string, unknown> = { ...blank };
      for (const [key, [offset, type]] of rows) value[key] = type.read(view, at + offset);
      return value as Decoded<F>;
    },
    encode(value, bytes, at = 0) {
      const view = viewOf(bytes);
      for (const [key, [offset, type]] of rows) type.write(view, at + offset, value[key]);
    },
  };
}
