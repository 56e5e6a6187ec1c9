/** Bytes to be written at a file offset. */
export interface FileChunk {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/**
 * A whole file to be written. Its chunks are in ascending order and do not overlap; bytes that no chunk holds are zero. The first chunk is
 * the header. A writer that does not replace the file atomically writes the header last, after an fsync of the other chunks (spec §5,
 * Creation).
 */
export interface FileImage {
  /** Length of the file in bytes. */
  readonly length: number;
  /** Returns the chunks. Each call makes them anew. The bytes of a chunk are valid until the next one is asked for. */
  chunks(): Iterable<FileChunk>;
}
