import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readSync,
  type Stats,
  writeSync,
} from "node:fs";
import { QdbError, quote, shortRead } from "@qdb/format";
import { errnoOf, fromNode } from "./errors.ts";
import { type Facts, factsAt, factsOf } from "./facts.ts";
import { tryFlock } from "./flock.ts";
import { hasWriter } from "./lock-state.ts";

/** Bytes of one read or write at most: Node takes lengths below 2^31 only. */
const PIECE = 2 ** 30;

/** An open file or block device. Reads and writes are exact; what fails comes out as a QdbError that names the path. */
export class Handle {
  /** The path that messages name. */
  readonly path: string;
  /** -1 once closed, so that no later call can hit another file that got the same number. */
  #fd: number;

  private constructor(path: string, fd: number) {
    this.path = path;
    this.#fd = fd;
  }

  /** Opens for reading only. @throws {QdbError} NOT_FOUND, USAGE, IO */
  static openForReading(path: string): Handle {
    // First: to open a pipe would wait for its other end, and some devices act when they are opened.
    factsAt(path);
    return Handle.#open(path, path, constants.O_RDONLY);
  }

  /** Opens what exists for reading and writing. @throws {QdbError} NOT_FOUND, USAGE, IO; LOCKED for a device that is mounted or otherwise taken */
  static openForWriting(path: string): Handle {
    const { kind } = factsAt(path);
    // On a block device O_EXCL asks the kernel for sole use.
    return Handle.#open(path, path, constants.O_RDWR | (kind === "block" ? constants.O_EXCL : 0));
  }

  /** Makes a new file; messages speak of `label`. @throws {QdbError} ALREADY_EXISTS, NOT_FOUND without its directory, IO */
  static create(path: string, label: string): Handle {
    return Handle.#open(path, label, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL);
  }

  /** Makes a new file that nobody else may open yet, for reading and writing. @throws {QdbError} ALREADY_EXISTS, NOT_FOUND without its directory, IO */
  static createPrivate(path: string): Handle {
    return Handle.#open(path, path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o600);
  }

  /** Opens a file that may have been left behind, for its lock. @throws {QdbError} NOT_FOUND; USAGE for what is no regular file; IO, for a symbolic link too */
  static openAbandoned(path: string): Handle {
    const { O_RDWR, O_NOFOLLOW, O_NONBLOCK } = constants;
    // A lock over NFS is only to be had on a file that is open for writing.
    const handle = Handle.#open(path, path, O_RDWR | O_NOFOLLOW | O_NONBLOCK);
    try {
      if (handle.facts().kind === "file") return handle;
      throw new QdbError("USAGE", `${quote(path)} is no regular file`);
    } catch (error) {
      handle.closeAfterError();
      throw error;
    }
  }

  static #open(path: string, label: string, flags: number, mode = 0o666): Handle {
    const creates = (flags & constants.O_CREAT) !== 0;
    try {
      return new Handle(label, openSync(path, flags, mode));
    } catch (error) {
      if (errnoOf(error) === "EBUSY") {
        throw new QdbError(
          "LOCKED",
          `${quote(label)} is mounted or taken by another program; free it first`,
          {},
          { cause: error },
        );
      }
      if (creates && errnoOf(error) === "ENOENT") {
        throw new QdbError(
          "NOT_FOUND",
          `cannot create ${quote(label)}: its directory does not exist`,
          {},
          { cause: error },
        );
      }
      throw fromNode(error, creates ? "create" : "open", label);
    }
  }

  /** What the system says about it now. @throws {QdbError} IO, USAGE once closed */
  facts(): Facts {
    return this.#call("stat", (fd) => factsOf(fstatSync(fd, { bigint: true }), this.path));
  }

  /** Who owns it, who may use it, and how many names it has. @throws {QdbError} IO, USAGE once closed */
  access(): Stats {
    return this.#call("stat", (fd) => fstatSync(fd));
  }

  /** Gives it the owner, group and mode of another file. @throws {QdbError} IO, where this user may not; USAGE once closed */
  takeAccess({ uid, gid, mode }: Stats): void {
    const now = this.access();
    // Owner first: to change it can clear bits of the mode.
    if (now.uid !== uid || now.gid !== gid) {
      this.#call(`give owner ${uid} and group ${gid} to`, (fd) => fchownSync(fd, uid, gid));
    }
    this.#call("set the mode of", (fd) => fchmodSync(fd, mode & 0o7777));
  }

  /** Takes the kernel's exclusive lock (flock(2)), kept until this is closed. False when another opening has one. @throws {QdbError} NOT_SUPPORTED without util-linux; IO */
  lock(): boolean {
    return this.#call("lock", (fd) => tryFlock(fd, this.path));
  }

  /** Whether another opening has that lock, or this one; undefined where the system does not tell. @throws {QdbError} IO, USAGE once closed */
  hasWriter(): boolean | undefined {
    return this.#call("stat", (fd) => hasWriter(fstatSync(fd, { bigint: true })));
  }

  /** Fills `target[0, length)` with the bytes from `offset` on. @throws {QdbError} SHORT_READ where the file ends before that, IO */
  readInto(target: Uint8Array, length: number, offset: number): void {
    let done = 0;
    while (done < length) {
      const start = done;
      const count = this.#call("read", (fd) =>
        readOnce(fd, target, start, Math.min(PIECE, length - start), offset + start),
      );
      if (count === 0) throw shortRead(offset, length, offset + done);
      done += count;
    }
  }

  /** Writes all bytes at `offset`. @throws {QdbError} IO */
  write(bytes: Uint8Array, offset: number): void {
    let done = 0;
    while (done < bytes.length) {
      const start = done;
      const length = Math.min(PIECE, bytes.length - start);
      const count = this.#call("write", (fd) => writeSync(fd, bytes, start, length, offset + start));
      if (count === 0)
        throw new QdbError("IO", `cannot write ${quote(this.path)}: the system took no byte and told no error`);
      done += count;
    }
  }

  /** Makes the file `length` bytes long; new bytes are a hole of zeros. @throws {QdbError} IO */
  truncate(length: number): void {
    this.#call("write", (fd) => ftruncateSync(fd, length));
  }

  /** fsync(2): returns when everything written is on the disk. @throws {QdbError} IO; nothing may be assumed about what was written then */
  sync(): void {
    this.#call("flush (fsync)", (fd) => fsyncSync(fd));
  }

  /** Closes; does nothing the second time. @throws {QdbError} IO */
  close(): void {
    if (this.#fd < 0) return;
    const fd = this.#fd;
    this.#fd = -1;
    try {
      closeSync(fd);
    } catch (error) {
      throw fromNode(error, "close", this.path);
    }
  }

  /** Closes where an error is on its way already, which another one must not hide. */
  closeAfterError(): void {
    try {
      this.close();
    } catch {
      // The first error is the one to report.
    }
  }

  #call<T>(doing: string, call: (fd: number) => T): T {
    if (this.#fd < 0) throw new QdbError("USAGE", `${quote(this.path)} was closed; open it again`);
    try {
      return call(this.#fd);
    } catch (error) {
      throw fromNode(error, doing, this.path);
    }
  }
}

/** libuv repeats everything that a signal interrupts, but for reads. */
function readOnce(fd: number, target: Uint8Array, start: number, length: number, offset: number): number {
  for (;;) {
    try {
      return readSync(fd, target, start, length, offset);
    } catch (error) {
      if (errnoOf(error) !== "EINTR") throw error;
    }
  }
}
