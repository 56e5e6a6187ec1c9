import { QdbError } from "@qdb/format";
import { hasSession, isQcow2 } from "@qdb/qcow2";
import { firstBytes } from "../files/first-bytes.ts";
import { newBitmapLine } from "../files/new-bitmaps.ts";
import { type NameRule, storeBitmaps } from "../files/store-bitmaps.ts";
import { detectFormat, IMPORTERS } from "../import/import-formats.ts";
import { requestOf } from "../import/request.ts";
import { type Call, type CommandSpec, PROGRESS } from "../shell/command.ts";

/** Number of bytes in which header and extensions of a shell are looked for: more than those of a session of 500 bitmaps with long names take. */
const SHELL_HEAD = 2 ** 20;

/** `qdb import`: stores bitmaps and maps that other programs made. */
export const command: CommandSpec = {
  name: "import",
  summary: "turn other systems' bitmaps and maps into a QDB file",
  synopsis: ["[OPTION]... [-B NAME[=NEW]]... SOURCE FILE"],
  description: [
    "Reads bitmaps from SOURCE and stores them in FILE, all in one commit; FILE is made when it is missing. A bitmap of a name that is there already is refused, unless --merge or --replace says what to do. Nothing of SOURCE is changed.",
    "qcow2: the bitmaps of an image, without QEMU; all of them, or those of -B. Names, granularities and whether they are enabled stay. A bitmap that a program had in use, or did not keep, is inconsistent: it is listed, and its bits are refused, unless --inconsistent=mark-all makes it all dirty. A bitmap whose clusters are damaged, or belong to something else too, another bitmap for example, is refused (OVERLAP), and all dirty with --inconsistent=mark-all; that it was so cannot be seen any more once QEMU had the image open for writing. An image that keeps changing ends with SOURCE_CHANGED.",
    "A shell that qdb export --to qcow2-shell made for FILE is taken whole, once, and only if all that wrote to its disk went through it as far as can be seen: what it collected is added to the bitmaps of its session, which can be used again, and SHELL is renamed. Anything else leaves them in use; qdb bitmap --mark-all is the way back. A program that opens the shell for writing renews its time of modification, and so hides a write past it.",
    "raw-bits: plain bytes, a bit for each granule, least significant bit first.",
    "extents: a JSON array as nbdinfo --map=qemu:dirty-bitmap:NAME --json, oVirt and qdb map print it. What no object describes as clean is dirty. Maps of what is allocated (qemu-img map, nbdinfo --map) need --dirty.",
    "--dirty=local: what an overlay holds itself, which is what changed since its backing file; zeros that the guest wrote too. The map is of qemu-img map or nbdinfo --map=qemu:allocation-depth. --dirty=data: what does not read as zeros, for a copy onto a target that holds nothing but zeros; over older data such a copy misses what was zeroed since. A warning says so if the map shows that the image itself holds zeros. --dirty=nodata: QEMU's inverted map of an x-dirty-bitmap.",
  ],
  operands: { min: 2, max: 2, names: ["SOURCE", "FILE"] },
  options: [
    {
      long: "from",
      value: "FORMAT",
      choices: [...IMPORTERS.keys()],
      help: "format of SOURCE; qcow2 images and JSON are recognised",
    },
    {
      long: "bitmap",
      short: "B",
      value: "NAME[=NEW]",
      repeatable: true,
      help: "qcow2: import this bitmap, under the name NEW; else: the name that the bitmap gets",
    },
    { long: "merge", help: "add the dirt to a bitmap of the name that is there (OR); rounding only adds dirt" },
    { long: "replace", help: "put the new bitmap in the place of one of the name that is there" },
    {
      long: "inconsistent",
      value: "ACTION",
      choices: ["keep", "mark-all"],
      help: "keep (the default): inconsistent bitmaps stay so; mark-all: they and those with damaged or shared clusters become all dirty, and usable",
    },
    { long: "granularity", short: "g", value: "SIZE", help: "bytes a bit, a power of two; rounding only adds dirt" },
    { long: "size", value: "SIZE", help: "length of the disk, for raw-bits and extents that do not tell it" },
    {
      long: "disk",
      value: "IMAGE",
      help: "take the length from this raw image, and remember it and its state; of a block device that is its length only, and changes of its content go unseen",
    },
    {
      long: "dirty",
      value: "WHAT",
      choices: ["data", "local", "nodata"],
      help: "what is dirty in extents that tell what is allocated; see above",
    },
    {
      long: "collected",
      help: "for a shell: your word that all that wrote to its disk was collected, where no time of modification tells (devices, other file systems)",
    },
    ...PROGRESS,
  ],
  examples: [
    ["qdb import vm.qcow2 vm.qdb", "every bitmap of an image"],
    ["qdb import -B daily=monday vm.qcow2 vm.qdb", "one bitmap, under another name"],
    [
      "nbdinfo --map=qemu:dirty-bitmap:b0 --json URI | qdb import --from extents -B b0 - vm.qdb",
      "what an NBD server says",
    ],
    [
      "qemu-img map --output=json overlay.qcow2 | qdb import --from extents --dirty=local -B day2 - vm.qdb",
      "what an overlay changed of its backing file",
    ],
    ["qdb import --from raw-bits -g 64K --size 16G -B daily bits.raw vm.qdb", "bits as plain bytes"],
    ["qdb import --merge -B daily vm.qcow2 vm.qdb", "what QEMU collected is added to the bitmap daily"],
    ["qdb import vm-shell.qcow2 vm.qdb", "the machine has stopped: take what QEMU collected in the shell"],
  ],
  run,
};

async function run(call: Call): Promise<number> {
  const [source = "", file = ""] = call.operands;
  const rule = nameRule(call);
  if (isShell(source, call)) {
    const { collectShell } = await import("../import/collect-shell-file.ts");
    await collectShell(source, file, call);
    return 0;
  }
  if (call.has("collected"))
    throw new QdbError(
      "USAGE",
      "--collected is for a shell that qdb export --to qcow2-shell made; try: qdb import --help",
    );
  const request = requestOf(call, source);
  const stored = await storeBitmaps(file, call, rule, async (_, spool) => {
    const format = call.value("from") ?? detectFormat(source);
    const importer = IMPORTERS.get(format);
    if (importer === undefined) throw new QdbError("USAGE", `--from ${format} is not known`);
    return importer(request, spool);
  });
  for (const bitmap of stored) call.output.line(newBitmapLine(bitmap));
  return 0;
}

/** Whether SOURCE is a shell. */
function isShell(source: string, call: Call): boolean {
  const format = call.value("from");
  if (source === "-" || (format !== undefined && format !== "qcow2")) return false;
  const head = firstBytes(source, SHELL_HEAD);
  return isQcow2(head) && hasSession(head);
}

function nameRule(call: Call): NameRule {
  if (call.has("merge") && call.has("replace")) {
    throw new QdbError("USAGE", "--merge and --replace exclude each other; try: qdb import --help");
  }
  if (call.has("merge")) return "merge";
  return call.has("replace") ? "replace" : "refuse";
}
