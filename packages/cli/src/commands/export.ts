import { QdbError } from "@qdb/format";
import { readBitmapBits } from "../files/bitmap-file.ts";
import { requireNewOutput, writeOutput } from "../files/new-output.ts";
import { diskOptions, mirrorOptions, requireFile } from "../files/open-qdb.ts";
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

/** Formats that are images. What writes them is loaded for them only. */
const IMAGE_FORMATS: readonly string[] = ["qcow2", "qcow2-bitmaps", "qcow2-shell"];

/** `qdb export`: writes a bitmap in a format of another program. */
export const command: CommandSpec = {
  name: "export",
  summary: "write a bitmap in a format of other systems",
  synopsis: [
    "--to raw-bits|extents -B NAME [--ignore-disk-change] [--ignore-header-damage] FILE [OUT]",
    "--to qcow2|qcow2-bitmaps [-B NAME]... [--ignore-disk-change] [--ignore-header-damage] FILE IMAGE",
    "--to qcow2-shell --data-file DISK [--collected] FILE SHELL",
  ],
  description: [
    "Writes one bitmap to OUT, which must not exist, or to standard output. The formats of qcow2 write several bitmaps, those of -B or all of FILE, whose disk must be that of the image; ids and other records are not kept.",
    "raw-bits: plain bytes, a bit for each granule, least significant bit first, zero after the last one. extents: the JSON of qdb map, which is that of nbdinfo --map=qemu:dirty-bitmap:NAME --json.",
    "qcow2: adds the bitmaps to IMAGE, which no program may have open: see qdb bitmap --help. qcow2-bitmaps: makes IMAGE, a small image of the disk's length that holds nothing but bitmaps: what a running QEMU can merge from.",
    "qcow2-shell: makes SHELL, a qcow2 image over the raw disk DISK in which QEMU collects for every enabled bitmap of DISK. Start the machine with SHELL in place of DISK, and take back what it collected with qdb import SHELL FILE. Until then the bitmaps are in use. DISK is not opened for writing, and stays raw; what writes to it by its own name is not collected: import refuses the shell if DISK is newer than it, but a QEMU that opens the shell once more hides such a write.",
    IMAGES,
    NO_DISK,
  ],
  operands: { min: 1, max: 2, names: ["FILE", "OUT"] },
  options: [
    {
      long: "to",
      value: "FORMAT",
      choices: [...EXPORTERS.keys(), ...IMAGE_FORMATS],
      help: "format to write, see above",
    },
    { long: "bitmap", short: "B", value: "NAME", repeatable: true, help: "the bitmap; several for formats of qcow2" },
    { long: "data-file", value: "DISK", help: "with qcow2-shell: the raw disk" },
    {
      long: "collected",
      help: "with qcow2-shell: your word that all that wrote to DISK was collected, where no time of modification tells (devices, other file systems)",
    },
    DISK_CHANGE,
    HEADER_DAMAGE,
    ...PROGRESS,
  ],
  examples: [
    ["qdb export --to raw-bits -B daily vm.qdb daily.bits", "the bits as plain bytes"],
    ["qdb export --to extents -B daily vm.qdb | jq length", "extents for another program"],
    ["qdb export --to qcow2 -B daily vm.qdb vm.qcow2", "the bitmap is in the image too, for QEMU"],
    ["qdb export --to qcow2-shell --data-file vm.img vm.qdb vm-shell.qcow2", "QEMU collects for vm.img in the shell"],
  ],
  run,
};

async function run(call: Call): Promise<number> {
  const [path = "", out] = call.operands;
  const format = call.value("to") ?? "";
  if (IMAGE_FORMATS.includes(format)) {
    if (out === undefined) throw missing("IMAGE");
    requireFile(out);
    const { exportBitmapImage, exportIntoImage, exportShell } = await import("../export/export-image-file.ts");
    if (format === "qcow2-shell") await exportShell(path, out, call);
    else await (format === "qcow2" ? exportIntoImage : exportBitmapImage)(path, out, call);
    return 0;
  }
  await exportText(format, path, out ?? "-", call);
  return 0;
}

function missing(what: string): QdbError {
  return new QdbError("USAGE", `${what} is missing; try: qdb export --help`);
}

/** Writes one bitmap to a file or to standard output. @throws {QdbError} as {@link writeOutput} and reading the bitmap */
async function exportText(format: string, path: string, out: string, call: Call): Promise<void> {
  const exporter = EXPORTERS.get(format);
  const [name, second] = call.values("bitmap");
  if (exporter === undefined || name === undefined) throw missing(exporter === undefined ? "--to FORMAT" : "-B NAME");
  if (second !== undefined) throw new QdbError("USAGE", `--to ${format} writes one bitmap; name one with -B`);
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
}
