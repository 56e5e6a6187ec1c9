import { wordAt } from "../elements.ts";
import { kernels } from "../kernels/kernels.ts";

/**
 * Computes the CRC-32 of IEEE 802.3, as zlib does: the nine bytes `123456789` give CBF43926. If `previous` is the CRC-32 of some bytes, the
 * result is the CRC-32 of those bytes followed by `bytes`. Node's `zlib.crc32` has this signature.
 */
export type Crc32 = (bytes: Uint8Array, previous?: number) => number;

/** An incremental SHA-256. `hex` ends the hash and returns the digest as 64 hex digits. */
export interface Sha256 {
  update(bytes: Uint8Array): void;
  hex(): string;
}

/**
 * Checksum functions of the host. Without `crc32` the library uses its own; without `sha256` it leaves `bits_sha256` out of the JSON form.
 */
export interface Digests {
  readonly crc32?: Crc32 | undefined;
  readonly sha256?: (() => Sha256) | undefined;
}

/** Shorter inputs are not worth a kernel. */
const MIN_BYTES = 1024;
const POLYNOMIAL = 0xedb88320;
let tables: Uint32Array | undefined;

/** Makes the eight tables that process eight bytes at a time. They are made on first use, since a host with zlib does not need them. */
function makeTables(): Uint32Array {
  const result = new Uint32Array(8 * 256);
  for (let byte = 0; byte < 256; byte++) {
    let value = byte;
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ POLYNOMIAL : value >>> 1;
    result[byte] = value;
  }
  for (let index = 256; index < result.length; index++) {
    const previous = wordAt(result, index - 256);
    result[index] = (previous >>> 8) ^ wordAt(result, previous & 255);
  }
  return result;
}

/** Computes a CRC-32 (spec §1), for hosts without zlib. See {@link Crc32}. */
export function crc32(bytes: Uint8Array, previous = 0): number {
  tables ??= makeTables();
  const fast = bytes.length < MIN_BYTES ? undefined : kernels();
  return fast === undefined ? plainCrc32(bytes, previous, tables) : fast.crc32(bytes, previous, tables);
}

function plainCrc32(bytes: Uint8Array, previous: number, table: Uint32Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let crc = ~previous;
  let index = 0;
  const end8 = bytes.length - (bytes.length % 8);
  for (; index < end8; index += 8) {
    const low = crc ^ view.getUint32(index, true);
    const high = view.getUint32(index + 4, true);
    crc =
      wordAt(table, 1792 + (low & 255)) ^
      wordAt(table, 1536 + ((low >>> 8) & 255)) ^
      wordAt(table, 1280 + ((low >>> 16) & 255)) ^
      wordAt(table, 1024 + (low >>> 24)) ^
      wordAt(table, 768 + (high & 255)) ^
      wordAt(table, 512 + ((high >>> 8) & 255)) ^
      wordAt(table, 256 + ((high >>> 16) & 255)) ^
      wordAt(table, high >>> 24);
  }
  for (; index < bytes.length; index++) crc = (crc >>> 8) ^ wordAt(table, (crc ^ view.getUint8(index)) & 255);
  return ~crc >>> 0;
}
