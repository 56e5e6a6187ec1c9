/**
 * The type of a field of a structure. The field takes `size` bytes, and integers are big-endian (spec §1). `read` accepts any value;
 * validators apply the rules.
 */
export interface FieldType<T> {
  readonly name: string;
  readonly size: number;
  read(view: DataView, at: number): T;
  write(view: DataView, at: number, value: T): void;
}

/** Returns a view of exactly these bytes. A read past their end throws, even if the underlying buffer is longer. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Unsigned integer of one byte. */
export const u8: FieldType<number> = {
  name: "u8",
  size: 1,
  read: (view, at) => view.getUint8(at),
  write: (view, at, value) => view.setUint8(at, value),
};

/** Unsigned integer of two bytes, big-endian. */
export const u16: FieldType<number> = {
  name: "u16",
  size: 2,
  read: (view, at) => view.getUint16(at),
  write: (view, at, value) => view.setUint16(at, value),
};

/** Unsigned integer of four bytes, big-endian. */
export const u32: FieldType<number> = {
  name: "u32",
  size: 4,
  read: (view, at) => view.getUint32(at),
  write: (view, at, value) => view.setUint32(at, value),
};

/** Unsigned integer of eight bytes, big-endian. */
export const u64: FieldType<bigint> = {
  name: "u64",
  size: 8,
  read: (view, at) => view.getBigUint64(at),
  write: (view, at, value) => view.setBigUint64(at, value),
};

/** Signed integer of eight bytes, big-endian, two's complement. */
export const i64: FieldType<bigint> = {
  name: "i64",
  size: 8,
  read: (view, at) => view.getBigInt64(at),
  write: (view, at, value) => view.setBigInt64(at, value),
};

/** The type of a field of bytes. Its name keeps the type parameter of `Uint8Array`, which TypeScript 5.4 does not know, out of the declarations. */
export interface BytesField extends FieldType<Uint8Array> {}

/**
 * Returns the type of a field of `length` bytes. `read` copies the bytes; `write` pads a shorter value with zeros and cuts a longer one.
 */
/* @__NO_SIDE_EFFECTS__ */
export function bytes(length: number): BytesField {
  return {
    name: `bytes[${length}]`,
    size: length,
    read: (view, at) => new Uint8Array(view.buffer, view.byteOffset + at, length).slice(),
    write(view, at, value) {
      const target = new Uint8Array(view.buffer, view.byteOffset + at, length);
      target.fill(0);
      target.set(value.subarray(0, length));
    },
  };
}
