import { QdbError, quote } from "@qdb/format";
import type { FileImage } from "@qdb/format/container";
import { closing, HEADER_AREA_SIZE, hasMagic, type LongCall, MIRROR_OFFSETS } from "@qdb/format/internal";
import { pathChanged, remarkOf, withRemark } from "../system/errors.ts";
import { leadsTo } from "../system/file-status.ts";
import { Handle } from "../system/handle.ts";
import { primaryOf, writeFrom } from "./image-writer.ts";

/**
 * Writes an image to a block device, the header last (spec §5, Creation). First, the places where a reader looks for a mirror are zeroed,
 * because old bytes there could be taken for one. The zeros of the image are written too, because the device holds old bytes in their
 * place.
 * @throws {QdbError} LIMIT if the device is too small; ALREADY_EXISTS if it begins with a QDB header; LOCKED if it is in use; PATH_CHANGED
 * if the path leads elsewhere afterwards; ABORTED; IO
 */
export async function createOnDevice(path: string, image: FileImage, call: LongCall): Promise<void> {
  const device = Handle.openForWriting(path);
  await closing(device, async () => {
    const size = Number(device.status().size);
    if (image.length > size) {
      throw new QdbError(
        "LIMIT",
        `${quote(path)} has ${size} bytes, the file needs ${image.length}; nothing was written`,
      );
    }
    if (beginsWithMagic(device, size)) {
      const message = `${quote(path)} begins with a QDB header already and is not overwritten; zero its first ${HEADER_AREA_SIZE} bytes if that file may go`;
      throw new QdbError("ALREADY_EXISTS", message);
    }
    try {
      await writeImage(device, image, size, call);
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

async function writeImage(device: Handle, image: FileImage, size: number, call: LongCall): Promise<void> {
  zero(device, MIRROR_OFFSETS, size);
  const primary = primaryOf(image);
  await writeFrom(device, image, primary.length, "zeros", call);
  device.sync();
  call.checkSignal();
  device.write(primary, 0);
  device.sync();
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
