// QDB files made by hand from the tables of spec/qdb.md: an own big-endian writer, zlib's CRC-32, and nothing of the
// library, so that what tests expect of the library comes from somewhere else. Every field can be given a wrong value.
import { crc32 } from "node:zlib";

/** Bytes of a hex text; white space, and what follows a `|` or `#` on a line, is for the reader. */
export function hex(text: string): Uint8Array {
  const digits = text.replace(/[|#].*$/gm, "").replace(/\s+/g, "");
  if (!/^([0-9a-f]{2})*$/i.test(digits)) throw new Error(`no hex: ${digits}`);
  return Uint8Array.from(digits.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

/** A number as big-endian bytes. */
export function be(value: number | bigint, size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  let rest = BigInt(value);
  for (let at = size - 1; at >= 0; at--) {
    bytes[at] = Number(rest & 255n);
    rest >>= 8n;
  }
  return bytes;
}

export function join(...parts: readonly Uint8Array[]): Uint8Array {
  const result = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    result.set(part, at);
    at += part.length;
  }
  return result;
}

export function utf8(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text, "utf8"));
}

/** `count` bytes of one value. */
export function rep(value: number, count: number): Uint8Array {
  return new Uint8Array(count).fill(value);
}

function pad(bytes: Uint8Array, unit: number, value = 0): Uint8Array {
  return join(bytes, rep(value, (unit - (bytes.length % unit)) % unit));
}

/** An extension or a record: u32 type, u32 length, data, padding to 8. */
export function tlv(type: number, data: Uint8Array, { length = data.length, padding = 0 } = {}): Uint8Array {
  return join(be(type, 4), be(length, 4), pad(data, 8, padding));
}

/** An entry of a name table: its head, and the name in the rest of 48 bytes. */
export function named(head: Uint8Array, name: string): Uint8Array {
  const text = utf8(name);
  return join(head, text, rep(0, 48 - head.length - text.length));
}

/** A cluster of bitmap data: stored bytes, an all-zeros or all-ones entry, or an entry as it is to stand there. */
export type HandCluster =
  | "zeros"
  | "ones"
  | Uint8Array
  | { readonly descriptor: bigint; readonly crc?: number }
  | { readonly data: Uint8Array; readonly crc: number };

/** A bitmap. What is not given follows from what is; what is given is written, right or wrong. */
export interface HandBitmap {
  readonly name?: string | Uint8Array;
  readonly size?: bigint;
  readonly granularity?: number;
  readonly flags?: number;
  /** The extra data, whole. */
  readonly extra?: Uint8Array;
  readonly clusters?: readonly HandCluster[];
  readonly l1Offset?: bigint;
  readonly l1Size?: number;
  readonly l1Checksum?: number;
  readonly reserved?: number;
  readonly nameSize?: number;
  readonly extraSize?: number;
  /** Value of the padding bytes behind the name. */
  readonly padding?: number;
  readonly l1Padding?: number;
}

export interface HandHeader {
  readonly magic?: number;
  readonly version?: number;
  readonly clusterBits?: number;
  readonly nbBitmaps?: number;
  readonly bitmapsOffset?: bigint;
  readonly headerLength?: number;
  readonly bitmapsSize?: number;
  readonly incompatible?: bigint;
  readonly compatible?: bigint;
  readonly autoclear?: bigint;
  readonly generation?: bigint;
  readonly tableChecksum?: number;
  readonly headerChecksum?: number;
}

export interface HandFile {
  readonly draft?: boolean;
  /** Decides the places; `header.clusterBits` what the header says. */
  readonly clusterBits?: number;
  readonly header?: HandHeader;
  /** Bytes of the header behind the 104 known ones. */
  readonly unknownHeader?: Uint8Array;
  /** The extensions, whole; an end mark only where it is given. */
  readonly extensions?: Uint8Array;
  readonly bitmaps?: readonly HandBitmap[];
  /** Bytes to put into the table behind the entries. */
  readonly tableTail?: Uint8Array;
  /** What stands at H: a copy of the header area unless given. */
  readonly mirror?: Uint8Array | "none";
  readonly length?: number;
}

export const WRITER_ID: Uint8Array = hex("5f0c9a51 7d1e 4a38 9b62 0e4d8c21f7a6");
export const FILE_ID: Uint8Array = hex("c0a1e5d2 3b74 4f19 8a6d 92e07b15c348");

const ceil = (value: number, unit: number): number => Math.ceil(value / unit) * unit;

/** H: where the mirror stands. */
export function mirrorOf(clusterBits: number): number {
  return Math.max(2 ** clusterBits, 4096);
}

/** The file: header, mirror, table, then each bitmap's L1 area and stored clusters, each at the next cluster. */
export function file(spec: HandFile): Uint8Array {
  const { draft = false, clusterBits = 9, bitmaps = [], tableTail = new Uint8Array(0) } = spec;
  const cluster = 2 ** clusterBits;
  const h = mirrorOf(clusterBits);
  const pieces: { at: number; bytes: Uint8Array }[] = [];
  let end = draft ? cluster : 2 * h;
  const place = (length: number): number => {
    const at = end;
    end = ceil(end + length, cluster);
    return at;
  };
  const tableLength = bitmaps.reduce((sum, bitmap) => sum + entry(bitmap, 0, 0, 0).length, tableTail.length);
  const tableAt = tableLength === 0 ? 0 : place(tableLength);
  const entries = bitmaps.map((bitmap) => {
    const clusters = bitmap.clusters ?? [];
    if (clusters.length === 0) return entry(bitmap, 0, 0, 0);
    const at = place(ceil(clusters.length * (draft ? 8 : 12), 8));
    const descriptors: Uint8Array[] = [];
    const checksums: Uint8Array[] = [];
    for (const item of clusters) {
      let descriptor = 0n;
      let crc = 0;
      if (item === "ones") descriptor = 2n;
      else if (item !== "zeros" && "descriptor" in item) {
        descriptor = item.descriptor;
        crc = item.crc ?? 0;
      } else if (item !== "zeros") {
        const data = pad("data" in item ? item.data : item, cluster);
        const dataAt = place(cluster);
        descriptor = BigInt(dataAt);
        crc = "data" in item ? item.crc : crc32(data);
        pieces.push({ at: dataAt, bytes: data });
      }
      descriptors.push(be(descriptor, 8));
      checksums.push(be(crc, 4));
    }
    const area = draft ? join(...descriptors) : pad(join(...descriptors, ...checksums), 8, bitmap.l1Padding ?? 0);
    pieces.push({ at, bytes: area });
    return entry(bitmap, at, clusters.length, draft ? 0 : crc32(area));
  });
  const table = join(...entries, tableTail);
  pieces.push({ at: tableAt, bytes: table });
  const area = headerArea(spec, tableAt, table);
  const length = spec.length ?? end;
  const bytes = new Uint8Array(Math.max(length, end, 2 * h));
  for (const piece of pieces) bytes.set(piece.bytes, piece.at);
  if (!draft && spec.mirror !== "none") bytes.set(spec.mirror ?? area, h);
  bytes.set(area, 0);
  return bytes.slice(0, length);
}

function entry(bitmap: HandBitmap, l1Offset: number, l1Size: number, l1Checksum: number): Uint8Array {
  const { name = "a", extra = new Uint8Array(0) } = bitmap;
  const nameBytes = typeof name === "string" ? utf8(name) : name;
  const head = join(
    be(bitmap.l1Offset ?? l1Offset, 8),
    be(bitmap.l1Size ?? l1Size, 4),
    be(bitmap.granularity ?? 65536, 4),
    be(bitmap.size ?? 0n, 8),
    be(bitmap.flags ?? 0, 2),
    be(bitmap.nameSize ?? nameBytes.length, 2),
    be(bitmap.l1Checksum ?? l1Checksum, 4),
    be(bitmap.reserved ?? 0, 4),
    be(bitmap.extraSize ?? extra.length, 4),
  );
  return pad(join(head, extra, nameBytes), 8, bitmap.padding ?? 0);
}

function headerArea(spec: HandFile, tableAt: number, table: Uint8Array): Uint8Array {
  const { draft = false, header = {}, unknownHeader = new Uint8Array(0), extensions = new Uint8Array(0) } = spec;
  const posted = join(
    be(header.magic ?? 0x51444200, 4),
    be(header.version ?? 1, 4),
    be(header.clusterBits ?? spec.clusterBits ?? 9, 4),
    be(header.nbBitmaps ?? spec.bitmaps?.length ?? 0, 4),
    be(header.bitmapsOffset ?? tableAt, 8),
    be(header.headerLength ?? (draft ? 28 : 104 + unknownHeader.length), 4),
  );
  if (draft) return join(posted, be(header.bitmapsSize ?? 0, 4), extensions);
  const known = join(
    posted,
    be(header.bitmapsSize ?? table.length, 4),
    be(header.incompatible ?? 0n, 8),
    be(header.compatible ?? 0n, 8),
    be(header.autoclear ?? 0n, 8),
    be(header.generation ?? 1n, 8),
    be(header.tableChecksum ?? crc32(table), 4),
    be(0, 4),
    WRITER_ID,
    FILE_ID,
  );
  const area = new Uint8Array(4096);
  area.set(join(known, unknownHeader, extensions).subarray(0, 4096));
  area.set(be(header.headerChecksum ?? crc32(area), 4), 68);
  return area;
}

/** A copy with bytes changed. */
export function edit(bytes: Uint8Array, ...edits: readonly (readonly [at: number, bytes: Uint8Array])[]): Uint8Array {
  const copy = bytes.slice();
  for (const [at, piece] of edits) copy.set(piece, at);
  return copy;
}

/** A copy whose header area at `at` has the checksum of its bytes. */
export function sealed(bytes: Uint8Array, at = 0): Uint8Array {
  const blank = edit(bytes, [at + 68, be(0, 4)]);
  return edit(blank, [at + 68, be(crc32(blank.subarray(at, at + 4096)), 4)]);
}

/** Data bytes in which these bits are set, least significant bit first. */
export function bits(length: number, ...set: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(length);
  for (const bit of set) bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) | (1 << (bit & 7));
  return bytes;
}
