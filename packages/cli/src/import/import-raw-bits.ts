import { QdbError, readRawBits } from "@qdb/format";
import { requireName } from "@qdb/format/internal";
import { readInput } from "../files/read-input.ts";
import { aboutSource, type Importer, onlyName, refuseOptions } from "./request.ts";

/** Imports plain bits: ceil(bits / 8) bytes, least significant bit first, as `qdb export --to raw-bits` writes them. */
export const importRawBits: Importer = async (request) => {
  refuseOptions(request, "raw-bits", ["dirty", "inconsistent"]);
  const name = requireName(onlyName(request, "raw-bits"));
  const { granularity, size, disk, source, call } = request;
  if (granularity === undefined || size === undefined) {
    throw new QdbError(
      "USAGE",
      "raw-bits says nothing of the disk: give -g, and --size or --disk; try: qdb import --help",
    );
  }
  const bits = await aboutSource(request, () => readRawBits(readInput(source, call.signal), { size, granularity }));
  return [{ name, bits, enabled: false, ...disk }];
};
