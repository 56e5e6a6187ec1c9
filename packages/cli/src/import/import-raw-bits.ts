import { QdbError } from "@qdb/format";
import { readRawBitsInto, requireName, SpooledBits } from "@qdb/format/internal";
import { readBitmaps } from "../files/new-bitmaps.ts";
import { readInput } from "../files/read-input.ts";
import { aboutSource, type Importer, onlyName, refuseOptions } from "./request.ts";

/** Imports plain bits: ceil(bits / 8) bytes, least significant bit first, as `qdb export --to raw-bits` writes them. */
export const importRawBits: Importer = async (request, spool) => {
  refuseOptions(request, "raw-bits", ["dirty", "inconsistent"]);
  const name = requireName(onlyName(request, "raw-bits"));
  const { granularity, size, disk, source, call } = request;
  if (granularity === undefined || size === undefined) {
    throw new QdbError(
      "USAGE",
      "raw-bits says nothing of the disk: give -g, and --size or --disk; try: qdb import --help",
    );
  }
  const bits = await aboutSource(request, async () => {
    const spooled = new SpooledBits(spool, { size, granularity });
    await readRawBitsInto(spooled, readInput(source, call.signal));
    return spooled;
  });
  return readBitmaps([{ name, bits, enabled: false, ...disk }], call);
};
