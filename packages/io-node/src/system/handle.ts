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
import { QdbError, quote } from "@qdb/format";
import { shortRead } from "@qdb/format/container";
import { closingOnErrorSync } from "@qdb/format/internal";
import { errnoOf, fromNode } from "./errors.ts";
import { type FileStatus, statusAt, statusOf } from "./file-status.ts";
import { tryFlock } from "./flock.ts";
import { hasWriter } from "./lock-state.ts";

/** Maximum number of bytes of one system call: Node only accepts lengths below 2^31. */
const MAX_TRANSFER = 2 ** 30;

/** An open file or block device. Reads and writes transfer all bytes, or throw a QdbError that names the path. */
export class Handle {
  /** The path for messages. */
  readonly path: string;
  /** The file descriptor; -1 after closing. Otherwise a later call could use another file that has got the same descriptor number. */
  #fd: number;

  private constructor(path: string, fd: number) {
    this.path = path;
    this.#fd = fd;
  }

  /**
   * Returns a handle on a file that another thread of this process has open, and alone closes. A file descriptor belongs to all threads of a
   * process in Node; compare {@link FileStatus.key} where this may run on other hosts.
   */
  static ofOtherThread(path: string, descriptor: number): Handle {
    return new Handle(path, descriptor);
  }

  /** Opens a file or block device for reading only. @throws {QdbError} NOT_FOUND, IO; USAGE for any other kind of file */
  static openForReading(path: string): Handle {
    // The kind is checked first: opening a pipe would wait for its other end, and opening some devices has an effect.
    statusAt(path);
    return Handle.#open(path, path, constants.O_RDONLY);
  }

  /**
   * Opens an existing file or block device for reading and writing.
   * @throws {QdbError} NOT_FOUND, IO; USAGE for any other kind of file; LOCKED for a device that is mounted or in use
   */
  static openForWriting(path: string): Handle {
    const { kind } = statusAt(path);
    // On a block device, O_EXCL asks the kernel for exclusive use.
    return Handle.#open(path, path, constants.O_RDWR | (kind === "block" ? constants.O_EXCL : 0));
  }

  /** Creates a file for writing. Messages name it by `label`. @throws {QdbError} ALREADY_EXISTS; NOT_FOUND if its directory does not exist; IO */
  static create(path: string, label: string): Handle {
    return Handle.#open(path, label, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL);
  }

  /** Creates a file for reading and writing. Messages name it by `label`. @throws {QdbError} as {@link create} */
  static createReadable(path: string, label: string): Handle {
    return Handle.#open(path, label, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL);
  }

  /**
   * Creates a file for reading and writing that no other user may open.
   * @throws {QdbError} ALREADY_EXISTS; NOT_FOUND if its directory does not exist; IO
   */
  static createPrivate(path: string): Handle {
    return Handle.#open(path, path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o600);
  }

  /**
   * Opens a temporary file in order to lock it, to find out whether its process has ended.
   * @throws {QdbError} NOT_FOUND; USAGE for anything but a regular file; IO, also for a symbolic link
   */
  static openAbandoned(path: string): Handle {
    const { O_RDWR, O_NOFOLLOW, O_NONBLOCK } = constants;
    // NFS grants an exclusive lock only on a file that is open for writing.
    const handle = Handle.#open(path, path, O_RDWR | O_NOFOLLOW | O_NONBLOCK);
    return closingOnErrorSync(handle, () => {
      if (handle.status().kind === "file") return handle;
      throw new QdbError("USAGE", `${quote(path)} is no regular file`);
    });
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

  /** The file descriptor, for {@link ofOtherThread}. @throws {QdbError} USAGE after closing */
  get descriptor(): number {
    return this.#call("read", (fd) => fd);
  }

  /** Returns the current status of the file. @throws {QdbError} IO; USAGE after closing */
  status(): FileStatus {
    return this.#call("stat", (fd) => statusOf(fstatSync(fd, { bigint: true }), this.path));
  }

  /** Returns owner, group, mode and number of names of the file. @throws {QdbError} IO; USAGE after closing */
  access(): Stats {
    return this.#call("stat", (fd) => fstatSync(fd));
  }

  /** Sets owner, group and mode to those of another file. @throws {QdbError} IO, also if this user may not; USAGE after closing */
  takeAccess({ uid, gid, mode }: Stats): void {
    const now = this.access();
    // The owner is set first, because that can clear bits of the mode.
    if (now.uid !== uid || now.gid !== gid) {
      this.#call(`give owner ${uid} and group ${gid} to`, (fd) => fchownSync(fd, uid, gid));
    }
    this.#call("set the mode of", (fd) => fchmodSync(fd, mode & 0o7777));
  }

  /**
   * Takes the exclusive lock of the kernel (flock(2)), which is held until this is closed. Returns false if the file is locked through
   * another open file description.
   * @throws {QdbError} NOT_SUPPORTED without the flock command; IO
   */
  lock(): boolean {
    return this.#call("lock", (fd) => tryFlock(fd, this.path));
  }

  /**
   * Whether a writer holds the exclusive lock of this file, this handle included; undefined if the system does not say.
   * @throws {QdbError} IO; USAGE after closing
   */
  hasWriter(): boolean | undefined {
    return this.#call("stat", (fd) => hasWriter(fstatSync(fd, { bigint: true })));
  }

  /** Reads `length` bytes at file offset `offset` into the beginning of `target`. @throws {QdbError} SHORT_READ if the file ends before that; IO */
  readInto(target: Uint8Array, length: number, offset: number): void {
    let done = 0;
    while (done < length) {
      const start = done;
      const count = this.#call("read", (fd) =>
        readOnce(fd, target, start, Math.min(MAX_TRANSFER, length - start), offset + start),
      );
      if (count === 0) throw shortRead(offset, length, offset + done);
      done += count;
    }
  }

  /** Writes all bytes at file offset `offset`. @throws {QdbError} IO */
  write(bytes: Uint8Array, offset: number): void {
    let done = 0;
    while (done < bytes.length) {
      const start = done;
      const length = Math.min(MAX_TRANSFER, bytes.length - start);
      const count = this.#call("write", (fd) => writeSync(fd, bytes, start, length, offset + start));
      if (count === 0)
        throw new QdbError("IO", `cannot write ${quote(this.path)}: the system took no byte and told no error`);
      done += count;
    }
  }

  /** Sets the length of the file in bytes. Bytes that are added read as zeros. @throws {QdbError} IO */
  truncate(length: number): void {
    this.#call("write", (fd) => ftruncateSync(fd, length));
  }

  /**
   * Waits until everything written is on the disk (fsync(2)).
   * @throws {QdbError} IO; it is then unknown which of the bytes written are on the disk
   */
  sync(): void {
    this.#call("flush (fsync)", (fd) => fsyncSync(fd));
  }

  /** Closes the file. A second call does nothing. @throws {QdbError} IO */
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

  #call<T>(doing: string, call: (fd: number) => T): T {
    if (this.#fd < 0) throw new QdbError("USAGE", `${quote(this.path)} was closed; open it again`);
    try {
      return call(this.#fd);
    } catch (error) {
      throw fromNode(error, doing, this.path);
    }
  }
}

/** Reads once. A read that a signal interrupts is repeated; libuv does this itself for all other calls. */
function readOnce(fd: number, target: Uint8Array, start: number, length: number, offset: number): number {
  for (;;) {
    try {
      return readSync(fd, target, start, length, offset);
    } catch (error) {
      if (errnoOf(error) !== "EINTR") throw error;
    }
  }
}
