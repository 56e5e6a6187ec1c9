/** A piece of a file to be written: bytes at a file offset. */
export interface FileChunk {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/**
 * A whole file to be written. Chunks come in ascending order and do not overlap; what no chunk holds is zero.
 * The first chunk is the header's: who writes in place writes it last, when an fsync covers the others (spec §5, Creation).
 */
export interface FileImage {
  /** Length of the file in bytes. */
  readonly length: number;
  /** Makes the chunks anew at each call. */
  chunks(): Iterable<FileChunk>;
}
