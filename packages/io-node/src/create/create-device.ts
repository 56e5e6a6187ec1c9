import { type ByteRange, QdbError, quote } from "@qdb/format";

import { closing, HEADER_AREA_SIZE, hasMagic, type LongCall, MIRROR_OFFSETS } from "@qdb/format/internal";
import { pathChanged, remarkOf, withRemark } from "../system/errors.ts";
import { leadsTo } from "../system/file-status.ts";
import { Handle } from "../system/handle.ts";
import { type NewFile, WithoutHeader, type WriteFile } from "./new-file.ts";

/** Number of zeros that are written between two checks of the abort signal. */
const PIECE = 2 ** 20;

/**
 * Writes a file to a block device, the header last (spec §5, Creation). First, the places where a reader looks for a mirror are zeroed,
 * because old bytes there could be taken for one. The zeros of the file are written too, because the device holds old bytes in their
 * place. Before anything is written, `write` is called once to find out how long the file is.
 * @throws {QdbError} LIMIT if the device is too small; ALREADY_EXISTS if it begins with a QDB header; LOCKED if it is in use; PATH_CHANGED
 * if the path leads elsewhere afterwards; ABORTED; IO; what `write` throws
 */
export async function createOnDevice(path: string, write: WriteFile, call: LongCall): Promise<void> {
  const device = Handle.openForWriting(path);
  await closing(device, async () => {
    const size = Number(device.status().size);
    if (beginsWithMagic(device, size)) {
      const message = `${quote(path)} begins with a QDB header already and is not overwritten; zero its first ${HEADER_AREA_SIZE} bytes if that file may go`;
      throw new QdbError("ALREADY_EXISTS", message);
    }
    const outline = new Outline();
    await write(outline);
    if (outline.length > size) {
      throw new QdbError(
        "LIMIT",
        `${quote(path)} has ${size} bytes, the file needs ${outline.length}; nothing was written`,
      );
    }
    try {
      await fill(device, write, outline, size, call);
      // A file on a device to which the path no longer leads would not be found, so its headers are zeroed again.
      if (!leadsTo(path, device.status().key)) throw pathChanged(path);
    } catch (error) {
      throw cleared(error, device, path, size);
    }
  });
}

function beginsWithMagic(device: Handle, size: number): boolean {
  const start = new Uint8Array(Math.min(4, size));
  device.readInto(start, start.length, 0);
  return hasMagic(start);
}

/** What is known of a file without its bytes: its length, and what is written of it. */
class Outline implements NewFile {
  #ranges: { offset: number; end: number }[] = [];
  /** Length of the file in bytes. */
  length = 0;

  write(bytes: Uint8Array, offset: number): void {
    const last = this.#ranges.at(-1);
    const end = offset + bytes.length;
    if (last?.end === offset) last.end = end;
    else this.#ranges.push({ offset, end });
    this.length = Math.max(this.length, end);
  }

  truncate(length: number): void {
    if (length === 0) this.#ranges = [];
    this.length = length;
  }

  /** Returns the ranges that are not written, in ascending order. */
  gaps(): ByteRange[] {
    const gaps: ByteRange[] = [];
    let at = 0;
    const ends = [...this.#ranges].sort((a, b) => a.offset - b.offset);
    for (const { offset, end } of [...ends, { offset: this.length, end: this.length }]) {
      if (offset > at) gaps.push({ offset: at, length: offset - at });
      at = end;
    }
    return gaps;
  }
}

async function fill(device: Handle, write: WriteFile, outline: Outline, size: number, call: LongCall): Promise<void> {
  zero(device, MIRROR_OFFSETS, size);
  const written = new Outline();
  const file = new WithoutHeader({
    write: (bytes, offset) => {
      if (offset + bytes.length > outline.length) throw changed(device);
      device.write(bytes, offset);
    },
    truncate: () => undefined,
  });
  await write({
    write: (bytes, offset) => {
      written.write(bytes, offset);
      file.write(bytes, offset);
    },
    truncate: (length) => {
      written.truncate(length);
      file.truncate(length);
    },
  });
  if (written.length > outline.length) throw changed(device);
  for (const gap of written.gaps()) await writeZeros(device, gap, call);
  device.sync();
  call.checkSignal();
  device.write(file.header, 0);
  device.sync();
}

function changed(device: Handle): QdbError {
  const message = `what is written to ${quote(device.path)} has changed meanwhile; try again`;
  return new QdbError("SOURCE_CHANGED", message);
}

async function writeZeros(device: Handle, { offset, length }: ByteRange, call: LongCall): Promise<void> {
  const zeros = new Uint8Array(Math.min(PIECE, length));
  for (let done = 0; done < length; done += PIECE) {
    device.write(zeros.subarray(0, Math.min(PIECE, length - done)), offset + done);
    const pause = call.step(offset + done, offset + length);
    if (pause !== undefined) await pause;
  }
}

/** Zeroes the header areas at the given offsets, as far as they lie on the device, and flushes. */
function zero(device: Handle, offsets: readonly number[], size: number): void {
  for (const offset of offsets) {
    if (offset < size) device.write(new Uint8Array(Math.min(HEADER_AREA_SIZE, size - offset)), offset);
  }
  device.sync();
}

/** Zeroes primary and mirrors, so that a partly written file is not taken for a valid one. Returns the error to report. */
function cleared(error: unknown, device: Handle, path: string, size: number): unknown {
  try {
    zero(device, [0, ...MIRROR_OFFSETS], size);
  } catch (failure) {
    return withRemark(error, "write", path, remarkOf("cleared", path, failure));
  }
  return error;
}
