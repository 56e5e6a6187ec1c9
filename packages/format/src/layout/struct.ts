import { type FieldType, viewOf } from "./fields.ts";

/**
 * A row of a field table: offset in the structure in bytes, and type. What the field means is not here, since programs carry this table; for
 * the structures of QDB files, `records/field-tables.ts` has it.
 */
export type FieldRow<T> = readonly [offset: number, type: FieldType<T>];

/** The field table of a structure. Its keys are the names of the fields in the spec, in camelCase. */
export type Fields = Readonly<Record<string, FieldRow<unknown>>>;

/** The decoded value of a structure: an object with the value of each field of its field table. */
export type Decoded<F extends Fields> = { -readonly [K in keyof F]: F[K] extends FieldRow<infer T> ? T : never };

/** A structure of the format. Its field table defines how it is read, written and described. */
export interface Struct<F extends Fields> {
  readonly name: string;
  /** Length in bytes. */
  readonly size: number;
  readonly fields: F;
  /** Reads the structure at byte `at`. The caller checks the length first. @throws {RangeError} if the bytes end inside the structure */
  decode(bytes: Uint8Array, at?: number): Decoded<F>;
  /** Writes the structure at byte `at`. */
  encode(value: Readonly<Decoded<F>>, bytes: Uint8Array, at?: number): void;
}

/** Returns the name of a field in the spec, such as `cluster_bits` for `clusterBits`. */
export function specName(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** Declares a structure. @throws {Error} if the table has a gap, an overlap or a wrong size, so that the module does not load */
/* @__NO_SIDE_EFFECTS__ */
export function struct<const F extends Fields>(name: string, size: number, fields: F): Struct<F> {
  const rows = Object.entries(fields) as [keyof F & string, FieldRow<unknown>][];
  let end = 0;
  for (const [key, [offset, type]] of rows) {
    if (offset !== end) throw new Error(`layout ${name}.${key}: declared at ${offset}, previous field ends at ${end}`);
    end += type.size;
  }
  if (end !== size) throw new Error(`layout ${name}: declared ${size} bytes, fields take ${end}`);
  // It is faster to copy an object that has all keys, and to fill it in, than to add the keys. Tables have thousands of structures.
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
