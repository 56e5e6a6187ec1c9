import type { FileImage } from "./file-image.ts";
import type { ByteSource, SyncByteSource } from "./source.ts";

/** A file that can be read and changed asynchronously. Every failure is thrown; a write stores all its bytes or throws. */
export interface Store extends ByteSource {
  /** Writes all of `bytes` at `offset`. @throws {QdbError} IO */
  write(offset: number, bytes: Uint8Array): Promise<void>;
  /** Resolves when all bytes written so far are on the disk (fsync). @throws {QdbError} IO */
  flush(): Promise<void>;
  /** Cuts the file to a length in bytes. @throws {QdbError} IO */
  truncate(length: number): Promise<void>;
  /** Replaces the whole file atomically (spec §5, Creation and rewrite); absent if the store cannot do that. @throws {QdbError} IO */
  replace?(image: FileImage): Promise<void>;
  /**
   * Checks that the path still names this file. A change counts as done only after this check (spec §5). Absent if the store has no path.
   * @throws {QdbError} PATH_CHANGED if the path does not name the file any more; IO if that cannot be found out
   */
  confirm?(): Promise<void>;
}

/** A file that can be read and changed synchronously. Its methods do what those of {@link Store} do. */
export interface SyncStore extends SyncByteSource {
  /** @throws {QdbError} IO */
  writeSync(offset: number, bytes: Uint8Array): void;
  /** @throws {QdbError} IO */
  flushSync(): void;
  /** @throws {QdbError} IO */
  truncateSync(length: number): void;
  /** @throws {QdbError} IO */
  replaceSync?(image: FileImage): void;
  /** @throws {QdbError} PATH_CHANGED if the path does not name the file any more; IO if that cannot be found out */
  confirmSync?(): void;
}

/** A store of either kind. */
export type AnyStore = Store | SyncStore;
