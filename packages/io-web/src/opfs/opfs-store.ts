import { type ByteRange, isQdbError, QdbError, quote } from "@qdb/format";
import { type Store, shortRead } from "@qdb/format/container";
import { itemAt } from "@qdb/format/internal";
import { closedError, fileError, namesOf } from "../system/errors.ts";
import { Access, type Answer, hasAccess, type Request } from "./access.ts";
import { type OpfsPath, partsOf } from "./opfs-path.ts";
import { RemoteAccess } from "./remote-access.ts";

/** Whoever has the file open: this worker itself, or one that a page has started. */
interface Server {
  serve(request: Request): Promise<Answer>;
  end?(): void;
}

/**
 * A file of the origin private file system as a store. Its access handle is the lock (spec §5, step 1): no other tab or worker can open
 * the file for writing until it is closed or this tab ends, however it ends. Readers take no lock. The browser refuses to remove or move
 * the file meanwhile, so that its path always names it.
 */
export class OpfsStore implements Store {
  readonly path: OpfsPath;
  readonly #server: Server;
  #size: number;
  #isClosed = false;

  private constructor(path: OpfsPath, server: Server, size: number) {
    this.path = path;
    this.#server = server;
    this.#size = size;
  }

  /** Opens and locks a file. @throws {QdbError} as {@link openOpfsStore} */
  static async open(path: OpfsPath, { create = false }: { readonly create?: boolean } = {}): Promise<OpfsStore> {
    const parts = partsOf(path);
    const server: Server = hasAccess() ? new Access() : new RemoteAccess();
    try {
      const { size } = await server.serve({ do: "open", path: parts, create });
      return new OpfsStore(path, server, size);
    } catch (error) {
      server.end?.();
      throw openError(error, path);
    }
  }

  /** Length of the file in bytes. */
  get size(): number {
    return this.#size;
  }

  /** Reads exactly `length` bytes at `offset`. @throws {QdbError} as {@link readMany} */
  async read(offset: number, length: number): Promise<Uint8Array> {
    return itemAt(await this.readMany([{ offset, length }]), 0);
  }

  /**
   * Reads ranges at once.
   * @throws {QdbError} SHORT_READ if a range ends past the end of the file; IO if it cannot be read; USAGE if the store is closed
   */
  async readMany(ranges: readonly ByteRange[]): Promise<readonly Uint8Array[]> {
    for (const { offset, length } of ranges) {
      // The condition is written so that NaN fails it.
      if (!(offset >= 0 && length >= 0 && offset + length <= this.#size)) throw shortRead(offset, length, this.#size);
    }
    return (await this.#ask({ do: "read", ranges }, "read")).pieces;
  }

  /**
   * Writes all bytes at `offset`.
   * @throws {QdbError} IO if a write fails, for example because the browser gives this origin no more space: some of the bytes may be
   * written; USAGE if the store is closed
   */
  async write(offset: number, bytes: Uint8Array): Promise<void> {
    await this.#ask({ do: "write", offset, bytes }, "written");
  }

  /** Flushes the file: everything that was written is on the disk when this resolves. @throws {QdbError} IO; USAGE if the store is closed */
  async flush(): Promise<void> {
    await this.#ask({ do: "flush" }, "flushed");
  }

  /** Cuts the file to a length in bytes. @throws {QdbError} IO; USAGE if the store is closed */
  async truncate(length: number): Promise<void> {
    await this.#ask({ do: "truncate", length }, "cut");
  }

  /** Closes the file and releases the lock. A second call does nothing. @throws {QdbError} IO if the browser reports an error */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    try {
      await this.#server.serve({ do: "close" });
    } catch (error) {
      throw isQdbError(error) ? error : fileError(error, `${quote(this.path)} cannot be closed`);
    } finally {
      this.#server.end?.();
    }
  }

  async #ask(request: Request, done: string): Promise<Answer> {
    if (this.#isClosed) throw closedError(quote(this.path));
    try {
      const answer = await this.#server.serve(request);
      this.#size = answer.size;
      return answer;
    } catch (error) {
      if (isQdbError(error)) throw error;
      const { name, message } = namesOf(error);
      if (name === "ShortRead") throw new QdbError("SHORT_READ", `${quote(this.path)} has become shorter: ${message}`);
      throw fileError(error, `${quote(this.path)} cannot be ${done}`);
    }
  }
}

function openError(error: unknown, path: OpfsPath): QdbError {
  if (isQdbError(error)) return error;
  if (namesOf(error).name !== "NoModificationAllowedError") return fileError(error, `${quote(path)} cannot be opened`);
  const message = `${quote(path)} is open for writing in this tab or another one; close it there, then try again`;
  return new QdbError("LOCKED", message, {}, { cause: error });
}

/**
 * Opens a file of the origin private file system for writing, and locks it. In a page, a worker of this package holds the file; in a worker,
 * the worker itself does.
 * @throws {QdbError} LOCKED at once if it is open for writing in any tab; NOT_FOUND if there is no such file; USAGE for a path that names no
 * file; NOT_SUPPORTED if the browser has no such files, or the worker of the package cannot be started; IO
 */
export function openOpfsStore(path: OpfsPath): Promise<OpfsStore> {
  return OpfsStore.open(path);
}
