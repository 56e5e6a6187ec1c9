import { QdbError, quote } from "@qdb/format";
import { closingOnErrorSync } from "@qdb/format/internal";
import type { FileStatus } from "../system/file-status.ts";
import { loadKoffi } from "../system/load-koffi.ts";
import { lockedByQemu } from "../system/lock-state.ts";
import { OfdLocks } from "../system/ofd-locks.ts";
import { seesQemuLock } from "../system/proc-locks.ts";
import { takeQemuLocks } from "../system/qemu-locks.ts";
import { LockedFile } from "./locked-file.ts";

/** How a qcow2 image is opened for changes. */
export interface Qcow2StoreOptions {
  /**
   * Loads the package koffi, by which QEMU's locks are taken. The default looks for it where this package is installed; a program that is
   * bundled into one file can load its own.
   */
  readonly loadKoffi?: (() => unknown) | undefined;
}

/** Whether QEMU's locks on an image are held: if not, nothing keeps a QEMU out that is started meanwhile. */
export type QemuLocks = { readonly held: true } | { readonly held: false; readonly reason: string };

/**
 * A qcow2 image, in a file or on a block device, that is changed in place. From opening to close it holds the lock of this project's writers
 * and, if koffi can be loaded, the locks of QEMU's writers, so that a QEMU that is started meanwhile refuses the image. QEMU's option -U
 * ignores locks.
 *
 * Without koffi it only looks whether QEMU has the image open: when it is opened, before the first change, and in {@link confirmSync}.
 */
export class Qcow2Store extends LockedFile {
  /** Whether QEMU is kept out; the reason if it is not is a clause. */
  readonly qemuLocks: QemuLocks;
  readonly #opened: FileStatus;
  #isChanged = false;
  /** Why changes are refused from now on: QEMU has the image open, or has written to it. */
  #refusal: QdbError | undefined;

  /**
   * Opens and locks the image.
   * @throws {QdbError} LOCKED if QEMU has it open, be it for reading, unless by its option -U: QEMU itself would refuse a second writer then;
   * IO if that cannot be found out or the file system cannot lock; else as the constructor of {@link LockedFile}
   */
  constructor(path: string, options: Qcow2StoreOptions = {}) {
    super(path);
    this.#opened = closingOnErrorSync(this, () => this.handle.status());
    this.qemuLocks = closingOnErrorSync(this, () => this.#keepQemuOut(options.loadKoffi ?? loadKoffi));
  }

  #keepQemuOut(load: () => unknown): QemuLocks {
    const { handle, path } = this;
    const locks = OfdLocks.load(load);
    if (typeof locks === "string") {
      if (seesQemuLock(handle)) throw this.#lockedByQemu();
      return { held: false, reason: locks };
    }
    if (takeQemuLocks(locks, handle.descriptor, path)) return { held: true };
    // The file is closed first: the process to name is not this one, which has some of the locks.
    this.close();
    throw this.#lockedByQemu();
  }

  #lockedByQemu(remark?: string): QdbError {
    return lockedByQemu(this.path, this.#opened.key, remark);
  }

  /** @throws {QdbError} LOCKED or SOURCE_CHANGED if QEMU has opened or written the image meanwhile; else as for a {@link LockedFile} */
  override writeSync(offset: number, bytes: Uint8Array): void {
    this.#beforeChange();
    super.writeSync(offset, bytes);
  }

  /** @throws {QdbError} LOCKED or SOURCE_CHANGED if QEMU has opened or written the image meanwhile; else as for a {@link LockedFile} */
  override truncateSync(length: number): void {
    this.#beforeChange();
    super.truncateSync(length);
  }

  /**
   * Checks that the path still leads to this file and, if QEMU's locks are not held, that QEMU has not opened it meanwhile. A writer calls this
   * before it writes the header.
   * @throws {QdbError} LOCKED if QEMU has opened it, as every later change then; PATH_CHANGED if the path leads to another file, or to none; IO
   * if either cannot be found out; USAGE if the store is closed
   */
  override confirmSync(): void {
    super.confirmSync();
    this.#look();
  }

  #beforeChange(): void {
    if (this.#refusal !== undefined) throw this.#refusal;
    if (!this.#isChanged) this.#look();
    this.#isChanged = true;
  }

  #look(): void {
    if (this.qemuLocks.held) return;
    if (seesQemuLock(this.handle)) {
      const remark = "changes that were begun here are not finished: run qemu-img check then";
      this.#refusal = this.#lockedByQemu(this.#isChanged ? remark : undefined);
    } else if (!this.#isChanged && this.#wasWritten()) {
      this.#refusal = new QdbError(
        "SOURCE_CHANGED",
        `another program has written to ${quote(this.path)} since it was opened here; nothing was changed here, try again`,
      );
    }
    if (this.#refusal !== undefined) throw this.#refusal;
  }

  /** Whether length or time of the file are other ones than when it was opened. The time of a device is that of its node in /dev. */
  #wasWritten(): boolean {
    const { kind, size, mtimeNs } = this.handle.status();
    return size !== this.#opened.size || (kind === "file" && mtimeNs !== this.#opened.mtimeNs);
  }
}

/** Opens a qcow2 image for changes in place, under QEMU's locks if possible. @throws {QdbError} as the constructor of {@link Qcow2Store} */
export function openQcow2Store(path: string, options?: Qcow2StoreOptions): Qcow2Store {
  return new Qcow2Store(path, options);
}
