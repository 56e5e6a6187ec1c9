import { linkSync, unlinkSync } from "node:fs";
import { QdbError, quote } from "@qdb/format";
import type { SyncStore } from "@qdb/format/container";
import { alreadyExists, errnoOf, fromNode } from "../system/errors.ts";
import { statusIfThere } from "../system/file-status.ts";
import { Handle } from "../system/handle.ts";
import { readExactly } from "../system/read-exactly.ts";
import { syncDirectory } from "../system/sync-directory.ts";
import { requireWritableHost } from "../system/writable-host.ts";
import { createTemporary, type Temporary, withoutNames } from "./temporary.ts";

/**
 * A new file under a temporary name, which gets its own name when it is complete. Between the two, something else can be made durable that
 * must come first. Call {@link finish} or {@link discard} in the end.
 */
export class PreparedFile implements SyncStore {
  readonly #path: string;
  readonly #temporary: Temporary;
  #size = 0;

  /**
   * Creates the file beside `path`, which must not exist.
   * @throws {QdbError} ALREADY_EXISTS; as `createTemporary`; NOT_SUPPORTED on platforms other than Linux
   */
  constructor(path: string) {
    requireWritableHost();
    if (statusIfThere(path) !== undefined) throw alreadyExists(path);
    this.#path = path;
    this.#temporary = createTemporary(path, (name) => Handle.createReadable(name, path));
  }

  /** Inode of the file, which it keeps. */
  get inode(): bigint {
    return this.#temporary.file.status().file;
  }

  /** Length in bytes. */
  get size(): number {
    return this.#size;
  }

  /** @throws {QdbError} SHORT_READ, IO */
  readSync(offset: number, length: number): Uint8Array {
    return readExactly(this.#temporary.file, this.#size, offset, length);
  }

  /** @throws {QdbError} IO */
  writeSync(offset: number, bytes: Uint8Array): void {
    this.#temporary.file.write(bytes, offset);
    this.#size = Math.max(this.#size, offset + bytes.length);
  }

  /** @throws {QdbError} IO */
  flushSync(): void {
    this.#temporary.file.sync();
  }

  /** @throws {QdbError} IO */
  truncateSync(length: number): void {
    this.#temporary.file.truncate(length);
    this.#size = length;
  }

  /**
   * Gives the file its name, and flushes it and the directory.
   * @throws {QdbError} ALREADY_EXISTS if the name is taken; NOT_SUPPORTED on a file system without hard links; IO. Then there is no file
   */
  finish(): void {
    const { file, name, key } = this.#temporary;
    const names = [name];
    try {
      file.sync();
      names.push(this.#path);
      this.#link(name);
      unlinkSync(name);
      syncDirectory(this.#path);
    } catch (error) {
      throw withoutNames(error, this.#path, names, key);
    } finally {
      file.close();
    }
  }

  #link(name: string): void {
    try {
      linkSync(name, this.#path);
    } catch (error) {
      if (errnoOf(error) === "EEXIST") throw alreadyExists(this.#path);
      if (errnoOf(error) !== "EPERM" && errnoOf(error) !== "EOPNOTSUPP") throw fromNode(error, "create", this.#path);
      const message = `${quote(this.#path)} is on a file system without hard links, on which the file would have its name before it is complete; choose another folder`;
      throw new QdbError("NOT_SUPPORTED", message);
    }
  }

  /** Removes the file, after an error. Returns the error to report: `error`, with a remark if the file could not be removed. */
  discard(error: unknown): unknown {
    const { file, name, key } = this.#temporary;
    const result = withoutNames(error, this.#path, [name], key);
    file.close();
    return result;
  }
}
