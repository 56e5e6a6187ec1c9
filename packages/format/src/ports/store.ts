import type { FileImage } from "./file-image.ts";
import type { ByteSource, SyncByteSource } from "./source.ts";

/** A file that can be changed, asynchronously. Every failure is thrown, and no write is shorter than given. */
export interface Store extends ByteSource {
  /** @throws {QdbError} IO */
  write(offset: number, bytes: Uint8Array): Promise<void>;
  /** Resolves when everything written is on the disk: fsync. @throws {QdbError} IO */
  flush(): Promise<void>;
  /** Cuts the file to a length in bytes. @throws {QdbError} IO */
  truncate(length: number): Promise<void>;
  /** Replaces the whole file at once (spec §5, Creation and rewrite); absent if the store cannot. @throws {QdbError} IO */
  replace?(image: FileImage): Promise<void>;
  /**
   * Checks that the path still names this file, before a change counts as done (spec §5, Acknowledging). Absent if the store has no
   * path. @throws {QdbError} PATH_CHANGED; IO if the path cannot be looked at
   */
  confirm?(): Promise<void>;
}

/** A file that can be changed, synchronously; see {@link Store}. */
export interface SyncStore extends SyncByteSource {
  /** @throws {QdbError} IO */
  writeSync(offset: number, bytes: Uint8Array): void;
  /** @throws {QdbError} IO */
  flushSync(): void;
  /** @throws {QdbError} IO */
  truncateSync(length: number): void;
  /** @throws {QdbError} IO */
  replaceSync?(image: FileImage): void;
  /** @throws {QdbError} PATH_CHANGED; IO if the path cannot be looked at */
  confirmSync?(): void;
}

/** Either kind of store. */
export type AnyStore = Store | SyncStore;
