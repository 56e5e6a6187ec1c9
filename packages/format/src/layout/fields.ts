/** The type of a field of a structure: `size` bytes, big-endian (spec §1). Reading accepts any value; validators apply the rules. */
export interface FieldType<T> {
  readonly name: string;
  readonly size: number;
  read(view: DataView, at: number): T;
  write(view: DataView, at: number, value: T): void;
}

/** A view of exactly these bytes: reads past their end throw, even if the buffer goes on. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** One byte. */
export const u8: FieldType<number> = {
  name: "u8",
  size: 1,
  read: (view, at) => view.getUint8(at),
  write: (view, at, value) => view.setUint8(at, value),
};

/** Two bytes, big-endian. */
export const u16: FieldType<number> = {
  name: "u16",
  size: 2,
  read: (view, at) => view.getUint16(at),
  write: (view, at, value) => view.setUint16(at, value),
};

/** Four bytes, big-endian. */
export const u32: FieldType<number> = {
  name: "u32",
  size: 4,
  read: (view, at) => view.getUint32(at),
  write: (view, at, value) => view.setUint32(at, value),
};

/** Eight bytes, big-endian, unsigned. */
export const u64: FieldType<bigint> = {
  name: "u64",
  size: 8,
  read: (view, at) => view.getBigUint64(at),
  write: (view, at, value) => view.setBigUint64(at, value),
};

/** Eight bytes, big-endian, two's complement. */
export const i64: FieldType<bigint> = {
  name: "i64",
  size: 8,
  read: (view, at) => view.getBigInt64(at),
  write: (view, at, value) => view.setBigInt64(at, value),
};

/** `length` bytes. Reading copies them. */
export function bytes(length: number): FieldType<Uint8Array> {
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
