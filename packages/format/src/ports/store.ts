import type { FileImage } from "./file-image.ts";
import type { ByteSource, SyncByteSource } from "./source.ts";

/** A file that can be changed, awaited. Every failure is thrown; nothing is written shorter than given. */
export interface Store extends ByteSource {
  /** @throws {QdbError} IO */
  write(offset: number, bytes: Uint8Array): Promise<void>;
  /** Resolves when everything written is on the disk: fsync. @throws {QdbError} IO */
  flush(): Promise<void>;
  /** Cuts the file to a length in bytes. @throws {QdbError} IO */
  truncate(length: number): Promise<void>;
  /** Puts another file in this one's place, whole (spec §5, Creation and rewrite); absent where that cannot be had. @throws {QdbError} IO */
  replace?(image: FileImage): Promise<void>;
  /**
   * Looks whether the path still names this file, before a change counts as done (spec §5, Acknowledging); absent where a store has
   * no path. @throws {QdbError} PATH_CHANGED; IO where it cannot be seen
   */
  confirm?(): Promise<void>;
}

/** The same, answered at once. */
export interface SyncStore extends SyncByteSource {
  /** @throws {QdbError} IO */
  writeSync(offset: number, bytes: Uint8Array): void;
  /** @throws {QdbError} IO */
  flushSync(): void;
  /** @throws {QdbError} IO */
  truncateSync(length: number): void;
  /** @throws {QdbError} IO */
  replaceSync?(image: FileImage): void;
  /** @throws {QdbError} PATH_CHANGED; IO where it cannot be seen */
  confirmSync?(): void;
}

/** Either kind of store. */
export type AnyStore = Store | SyncStore;
