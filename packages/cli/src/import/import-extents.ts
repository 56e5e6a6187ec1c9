import { isQdbError, QdbError, readExtentMap } from "@qdb/format";
import { requireName } from "@qdb/format/internal";
import { readBitmaps } from "../files/new-bitmaps.ts";
import { inputName, readInput } from "../files/read-input.ts";
import { warn } from "../shell/output.ts";
import { aboutSource, type Importer, onlyName, refuseOptions } from "./request.ts";

/** Imports a JSON map that nbdinfo --map, qemu-img map, oVirt or `qdb map` printed. */
export const importExtents: Importer = async (request) => {
  refuseOptions(request, "extents", ["inconsistent"]);
  const name = requireName(onlyName(request, "extents"));
  const { source, call, disk, allocation } = request;
  const extents = await aboutSource(request, () =>
    namingOption(readExtentMap(readInput(source, call.signal), { dirty: allocation })),
  );
  if (extents.droppedZeros > 0n) {
    warn(
      `${inputName(source)}: ${extents.droppedZeros} bytes that the image itself holds as zeros are clean with --dirty=data; over older data a copy would not write them; --dirty=local makes them dirty`,
    );
  }
  const size = request.size ?? extents.size;
  if (size === undefined) {
    throw new QdbError(
      "USAGE",
      `${inputName(source)} does not cover the disk from its start, so its size is not known: give --size or --disk`,
    );
  }
  const bits = extents.toBitmap({ size, granularity: request.granularity });
  return readBitmaps([{ name, bits, enabled: false, ...disk }], call);
};

/** Names the option `dirty` of the library as the command's, in the messages of errors. @throws {QdbError} as `reading` */
async function namingOption<T>(reading: Promise<T>): Promise<T> {
  try {
    return await reading;
  } catch (error) {
    if (!isQdbError(error, "USAGE")) throw error;
    const message = error.message.replaceAll(/dirty: "(data|local|nodata)"/g, "--dirty=$1");
    throw new QdbError(error.code, message.replaceAll("the option dirty", "--dirty"), error.where, { cause: error });
  }
}
