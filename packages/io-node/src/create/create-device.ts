import { type FileImage, QdbError, quote } from "@qdb/format";
import { HEADER_AREA_SIZE, hasMagic, MIRROR_OFFSETS } from "@qdb/format/internal";
import { pathChanged, remarkOf, withRemark } from "../system/errors.ts";
import { leadsTo } from "../system/file-status.ts";
import { Handle } from "../system/handle.ts";
import type { LongCall } from "../system/long-call.ts";
import { primaryOf, writeFrom } from "./image-writer.ts";

/**
 * Writes an image to a block device, header last (spec §5, Creation). First zeroes every place where a reader could take old
 * bytes for a mirror. Writes the zeros of the image too, since the device holds old bytes there.
 */
export async function createOnDevice(path: string, image: FileImage, call: LongCall): Promise<void> {
  const device = Handle.openForWriting(path);
  try {
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
      // If the path leads elsewhere now, nobody finds the file: clear it again.
      if (!leadsTo(path, device.status().key)) throw pathChanged(path);
    } catch (error) {
      throw cleared(error, device, path, size);
    }
  } catch (error) {
    device.closeAfterError();
    throw error;
  }
  device.close();
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

/** Zeroes the header areas that lie on the device, and flushes. */
function zero(device: Handle, offsets: readonly number[], size: number): void {
  for (const offset of offsets) {
    if (offset < size) device.write(new Uint8Array(Math.min(HEADER_AREA_SIZE, size - offset)), offset);
  }
  device.sync();
}

/** Zeroes primary and mirrors, so that a partly written file is not taken for one, and returns the error to report. */
function cleared(error: unknown, device: Handle, path: string, size: number): unknown {
  try {
    zero(device, [0, ...MIRROR_OFFSETS], size);
  } catch (failure) {
    return withRemark(error, "write", path, remarkOf("cleared", path, failure));
  }
  return error;
}
