import { QdbError } from "@qdb/format";
import { readDiskMap } from "../disk-maps/read-disk-map.ts";
import { requireBitmapName } from "../files/new-bitmaps.ts";
import { diskRecords } from "../files/raw-images.ts";
import { inputName, readText } from "../files/read-input.ts";
import { warn } from "../shell/output.ts";
import { aboutSource, type Importer, onlyName, refuseOptions } from "./request.ts";

/** Imports a JSON map that nbdinfo --map, qemu-img map, oVirt or `qdb map` printed. */
export const importExtents: Importer = async (request) => {
  refuseOptions(request, "extents", ["inconsistent"]);
  const name = requireBitmapName(onlyName(request, "extents"));
  const { source, call, disk, allocation } = request;
  const extents = await aboutSource(request, () => readDiskMap(readText(source, call.signal), allocation));
  if (extents.droppedZeros > 0n) {
    warn(
      `${inputName(source)}: ${extents.droppedZeros} bytes that the image itself holds as zeros are clean with --dirty=data; over older data a copy would not write them; --dirty=local makes them dirty`,
    );
  }
  const size = request.size ?? extents.gaplessEnd;
  if (size === undefined) {
    throw new QdbError(
      "USAGE",
      `${inputName(source)} does not cover the disk from its start, so its size is not known: give --size or --disk`,
    );
  }
  const bits = extents.toBitmap(size, request.granularity ?? extents.granularityFor(size));
  return [{ name, bits, isEnabled: false, isInUse: false, records: disk === undefined ? [] : diskRecords(disk) }];
};
