import { QdbError } from "@qdb/format";
import { readBitmapBits } from "../files/bitmap-file.ts";
import { requireNewOutput, writeOutput } from "../files/new-output.ts";
import { diskOptions, mirrorOptions } from "../files/open-qdb.ts";
import { EXPORTERS } from "../map/export-formats.ts";
import {
  type Call,
  type CommandSpec,
  DISK_CHANGE,
  HEADER_DAMAGE,
  IMAGES,
  NO_DISK,
  PROGRESS,
} from "../shell/command.ts";

/** `qdb export`: writes a bitmap in a format of another program. */
export const command: CommandSpec = {
  name: "export",
  summary: "write a bitmap in a format of other systems",
  synopsis: ["--to FORMAT -B NAME [--ignore-disk-change] [--ignore-header-damage] FILE [OUT]"],
  description: [
    "Writes one bitmap to OUT, which must not exist, or to standard output.",
    "raw-bits: plain bytes, a bit for each granule, least significant bit first, zero after the last one. extents: the JSON of qdb map, which is that of nbdinfo --map=qemu:dirty-bitmap:NAME --json.",
    IMAGES,
    NO_DISK,
  ],
  operands: { min: 1, max: 2, names: ["FILE", "OUT"] },
  options: [
    { long: "to", value: "FORMAT", choices: [...EXPORTERS.keys()], help: "format to write: raw-bits or extents" },
    { long: "bitmap", short: "B", value: "NAME", help: "the bitmap" },
    DISK_CHANGE,
    HEADER_DAMAGE,
    ...PROGRESS,
  ],
  examples: [
    ["qdb export --to raw-bits -B daily vm.qdb daily.bits", "the bits as plain bytes"],
    ["qdb export --to extents -B daily vm.qdb | jq length", "extents for another program"],
  ],
  run,
};

async function run(call: Call): Promise<number> {
  const [path = "", out = "-"] = call.operands;
  const exporter = EXPORTERS.get(call.value("to") ?? "");
  const name = call.value("bitmap");
  if (exporter === undefined || name === undefined) {
    const missing = exporter === undefined ? "--to FORMAT" : "-B NAME";
    throw new QdbError("USAGE", `${missing} is missing; try: qdb export --help`);
  }
  requireNewOutput(out);
  // FILE is closed before OUT gets its name: an error of closing it is not one of a file that is there.
  await writeOutput(
    out,
    async (put) => {
      const progress = call.progress("exporting");
      const options = { signal: call.signal, onProgress: progress.onProgress };
      const how = { ...mirrorOptions(call), ...diskOptions(call) };
      try {
        await readBitmapBits(path, name, call, (bits) => exporter(bits, put, options), how);
      } finally {
        progress.end();
      }
    },
    call,
  );
  return 0;
}
