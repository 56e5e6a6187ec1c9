import { constants } from "node:os";
import { QdbError, quote } from "@qdb/format";
import { errnoOf, reasonOfErrno } from "./errors.ts";

/**
 * Architectures on which Linux has this `struct flock`, little-endian: i16 type at 0, i16 whence at 2, i64 start at 8, i64 length at 16,
 * i32 pid at 24; 32 bytes.
 */
const ARCHITECTURES = ["x64", "arm64", "riscv64", "loong64"];

const FLOCK_BYTES = 32;
const START_AT = 8;
const LENGTH_AT = 16;

// Commands and types of fcntl(2) on these architectures.
const F_OFD_GETLK = 36;
const F_OFD_SETLK = 37;
const F_RDLCK = 0;
const F_WRLCK = 1;
const F_UNLCK = 2;

type Fcntl = (descriptor: number, command: number, type: "void *", lock: Uint8Array) => number;

/** What is used of koffi. */
interface Koffi {
  load(path: null): { func(declaration: string): Fcntl };
  errno(): number;
}

/**
 * Locks on single bytes of an open file description (fcntl(2), "open file description locks"). The kernel releases them when the last
 * descriptor of the description is closed, however its process ends. Descriptors are those of the kernel.
 */
export class OfdLocks {
  readonly #fcntl: Fcntl;
  readonly #errno: () => number;

  private constructor(koffi: Koffi) {
    this.#fcntl = koffi.load(null).func("int fcntl(int descriptor, int command, ...)");
    this.#errno = () => koffi.errno();
  }

  /** Makes the locks available by koffi, which `load` loads. Returns the reason if this fails, as a clause. */
  static load(
    load: () => unknown,
    platform: string = process.platform,
    arch: string = process.arch,
  ): OfdLocks | string {
    if (platform !== "linux" || !ARCHITECTURES.includes(arch))
      return `it is not known how ${platform} on ${arch} locks`;
    try {
      const koffi = load();
      return isKoffi(koffi) ? new OfdLocks(koffi) : "what was loaded in the place of koffi is not koffi";
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      const isMissing = errnoOf(error) === "MODULE_NOT_FOUND" && /["']koffi["']/.test(message);
      return isMissing
        ? "the package koffi is not installed"
        : `the package koffi cannot be loaded (${quote(message)})`;
    }
  }

  /**
   * Takes the shared lock of a byte, without waiting.
   * @returns false if another description has the exclusive lock
   * @throws {QdbError} IO for any other failure, such as a file system without locks
   */
  share(descriptor: number, byte: number, path: string): boolean {
    if (this.#call(descriptor, F_OFD_SETLK, lockOf(F_RDLCK, byte)) === 0) return true;
    const errno = this.#errno();
    if (errno === constants.errno.EAGAIN || errno === constants.errno.EACCES) return false;
    throw cannotLock(errno, byte, path);
  }

  /** Whether another description has a lock of a byte, shared or exclusive. @throws {QdbError} IO */
  isTaken(descriptor: number, byte: number, path: string): boolean {
    const lock = lockOf(F_WRLCK, byte);
    if (this.#call(descriptor, F_OFD_GETLK, lock) !== 0) throw cannotLock(this.#errno(), byte, path);
    return new DataView(lock.buffer).getInt16(0, true) !== F_UNLCK;
  }

  #call(descriptor: number, command: number, lock: Uint8Array): number {
    return this.#fcntl(descriptor, command, "void *", lock);
  }
}

function lockOf(type: number, byte: number): Uint8Array<ArrayBuffer> {
  // The pid must be 0; so is whence, which is SEEK_SET then.
  const lock = new Uint8Array(FLOCK_BYTES);
  const view = new DataView(lock.buffer);
  view.setInt16(0, type, true);
  view.setBigInt64(START_AT, BigInt(byte), true);
  view.setBigInt64(LENGTH_AT, 1n, true);
  return lock;
}

function cannotLock(errno: number, byte: number, path: string): QdbError {
  return new QdbError("IO", `cannot lock byte ${byte} of ${quote(path)} as QEMU does: ${reasonOfErrno(errno)}`);
}

function isKoffi(value: unknown): value is Koffi {
  return (
    typeof value === "object" &&
    value !== null &&
    "load" in value &&
    typeof value.load === "function" &&
    "errno" in value &&
    typeof value.errno === "function"
  );
}
