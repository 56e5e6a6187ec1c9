import type { ByteRange } from "@qdb/format";

/** `x` rounded up to a multiple of 8: what directory entries and header extensions are padded to. */
export function align8(x: number): number {
  return Math.ceil(x / 8) * 8;
}

/** Number of bits that cover a disk: ceil(size / granularity). */
export function bitsOf(size: bigint, granularity: number): bigint {
  return (size + BigInt(granularity) - 1n) / BigInt(granularity);
}

/** Whether the clusters of two ranges meet. Empty ranges meet nothing. */
export function shareCluster(a: ByteRange, b: ByteRange, clusterSize: number): boolean {
  if (a.length === 0 || b.length === 0) return false;
  return (
    firstCluster(a, clusterSize) < endCluster(b, clusterSize) &&
    firstCluster(b, clusterSize) < endCluster(a, clusterSize)
  );
}

function firstCluster(range: ByteRange, clusterSize: number): number {
  return Math.floor(range.offset / clusterSize);
}

function endCluster(range: ByteRange, clusterSize: number): number {
  return Math.ceil((range.offset + range.length) / clusterSize);
}

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The text of UTF-8 bytes, a BOM kept; undefined when they are not UTF-8. */
export function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return strict.decode(bytes);
  } catch {
    return undefined;
  }
}
