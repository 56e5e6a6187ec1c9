import { countAll, type QdbFile } from "@qdb/format";
import { closing } from "@qdb/format/internal";
import { lockState } from "@qdb/io-node";
import { about, openFile } from "../files/open-qdb.ts";
import { type FileInfo, fileInfo } from "../info/info-document.ts";
import { infoLines } from "../info/info-text.ts";
import { type Call, type CommandSpec, OUTPUT, PROGRESS } from "../shell/command.ts";
import { jsonPieces } from "../shell/json.ts";

/** `qdb info`: prints the header and the bitmaps of a file. */
export const command: CommandSpec = {
  name: "info",
  summary: "tell what a QDB file holds",
  synopsis: ["[--output=human|json] FILE"],
  description: [
    "Prints the header of a QDB file, its features and header extensions by name, and every bitmap: size, granularity, how much is dirty, flags, disk, age, state.",
    "A bitmap whose bits cannot be used is listed with the reason; that is no failure of the command. Its state is in use while a program that has the file open collects into it, and inconsistent when that one is gone.",
    "changed since: whether the disk that a bitmap remembers is another one by now, or was written to. It is unknown if the disk is not found or cannot be looked at, and for a block device, of which only the length is remembered: changes of its content go unseen.",
  ],
  operands: { min: 1, max: 1, names: ["FILE"] },
  options: [OUTPUT, ...PROGRESS],
  examples: [
    ["qdb info backup.qdb", "Everything about the file."],
    ["qdb info --output=json backup.qdb | jq -r '.bitmaps[].name'", "The names of its bitmaps."],
  ],
  async run(call) {
    const [path = ""] = call.operands;
    const file = await openFile(path, call);
    const info = await closing(file, () => about(path, () => infoOf(path, file, call)));
    if (call.json) {
      for (const piece of jsonPieces(info)) call.output.text(piece);
      call.output.line();
    } else {
      for (const line of infoLines(info, file.index.table.entries.length, call.output.colors)) call.output.line(line);
    }
    return 0;
  },
};

async function infoOf(path: string, file: QdbFile, call: Call): Promise<FileInfo> {
  const progress = call.progress("counting");
  try {
    const counted = await countAll(file, { signal: call.signal, onProgress: progress.onProgress });
    const isAnyInUse = counted.some((bitmap) => bitmap.problem?.code === "INCONSISTENT");
    // Only bitmaps with the flag in_use are printed differently if there is a writer. Finding a writer can mean to search all processes.
    const hasWriter = isAnyInUse && lockState(path)?.held === true;
    return fileInfo(path, file.index, counted, { now: Date.now(), hasWriter });
  } finally {
    progress.end();
  }
}
