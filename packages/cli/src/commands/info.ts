import { countAll, type QdbFile } from "@qdb/format";
import type { LongCallOptions } from "@qdb/format/container";
import { lockState } from "@qdb/io-node";
import type { Qcow2File } from "@qdb/qcow2";
import { type ImageReader, readBitmapFile } from "../files/bitmap-file.ts";
import { type ImageInfo, imageInfo, imageLines } from "../info/image-document.ts";
import { type FileInfo, fileInfo } from "../info/info-document.ts";
import { infoLines } from "../info/info-text.ts";
import { type Call, type CommandSpec, IMAGES, OUTPUT, PROGRESS } from "../shell/command.ts";
import { jsonPieces } from "../shell/json.ts";

/** `qdb info`: prints the header and the bitmaps of a file. */
export const command: CommandSpec = {
  name: "info",
  summary: "tell what a QDB file or a qcow2 image holds",
  synopsis: ["[--output=human|json] FILE"],
  description: [
    "Prints the header of a QDB file, its features and header extensions by name, and every bitmap: size, granularity, how much is dirty, flags, disk, age, state.",
    "A bitmap whose bits cannot be used is listed with the reason; that is no failure of the command. Its state is in use while a program that has the file open collects into it, and inconsistent when that one is gone.",
    "changed since: whether the disk that a bitmap remembers is another one by now, or was written to. It is unknown if the disk is not found or cannot be looked at, and for a block device, of which only the length is remembered: changes of its content go unseen.",
    IMAGES,
    "Of an image, info says whether its bitmaps are consistent: no bitmap can be used if a program wrote to the image that does not keep them, or if it is marked corrupt. enabled is what qcow2 calls auto.",
  ],
  operands: { min: 1, max: 1, names: ["FILE"] },
  options: [OUTPUT, ...PROGRESS],
  examples: [
    ["qdb info backup.qdb", "Everything about the file."],
    ["qdb info vm.qcow2", "The bitmaps of a qcow2 image."],
    ["qdb info --output=json backup.qdb | jq -r '.bitmaps[].name'", "The names of its bitmaps."],
  ],
  async run(call) {
    const [path = ""] = call.operands;
    const { document, lines } = await readBitmapFile(path, call, {
      qdb: (file) => fileReport(path, file, call),
      qcow2: (image, reader) => imageReport(path, image, reader, call),
    });
    if (call.json) {
      for (const piece of jsonPieces(document)) call.output.text(piece);
      call.output.line();
    } else {
      for (const line of lines) call.output.line(line);
    }
    return 0;
  },
};

/** What is printed of a file: a document, or lines of text. */
interface Report {
  readonly document: FileInfo | ImageInfo;
  readonly lines: Iterable<string>;
}

async function fileReport(path: string, file: QdbFile, call: Call): Promise<Report> {
  const counted = await counting(call, (options) => countAll(file, options));
  const isAnyInUse = counted.some((bitmap) => bitmap.problem?.code === "INCONSISTENT");
  // Only bitmaps with the flag in_use are printed differently if there is a writer. Finding a writer can mean to search all processes.
  const hasWriter = isAnyInUse && lockState(path)?.held === true;
  const document = fileInfo(path, file.index, counted, { now: Date.now(), hasWriter });
  return { document, lines: infoLines(document, file.index.table.entries.length, call.output.colors) };
}

async function imageReport(path: string, image: Qcow2File, reader: ImageReader, call: Call): Promise<Report> {
  const { index, counted } = await counting(call, (options) =>
    image.run(function* (index) {
      return { index, counted: yield* reader.countQcow2Bitmaps(index, options) };
    }, options),
  );
  const document = imageInfo(path, index, counted, reader);
  return { document, lines: imageLines(document, index, call.output.colors) };
}

/** Runs work that counts dirty bits, and shows its progress. @throws {unknown} as the work */
async function counting<T>(call: Call, work: (options: LongCallOptions) => Promise<T>): Promise<T> {
  const progress = call.progress("counting");
  try {
    return await work({ signal: call.signal, onProgress: progress.onProgress });
  } finally {
    progress.end();
  }
}
