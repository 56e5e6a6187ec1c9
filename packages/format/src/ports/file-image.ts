/** Bytes to be written at a file offset. */
export interface FileChunk {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/**
 * A whole file to be written. Its chunks are in ascending order and do not overlap; bytes that no chunk holds are zero. The first chunk
 * is the header. A writer that does not replace the file at once writes it last, after an fsync of the others (spec §5, Creation).
 */
export interface FileImage {
  /** Length of the file in bytes. */
  readonly length: number;
  /** Each call makes new chunks. */
  chunks(): Iterable<FileChunk>;
}
