import { QdbError } from "@qdb/format";
import { isClusterBits } from "@qdb/format/internal";
import { createQdb } from "@qdb/io-node";
import { requireNewFile, writing } from "../files/new-file.ts";
import { type Call, type CommandSpec, OUTPUT } from "../shell/command.ts";
import { parseSize } from "../shell/size.ts";

/** `qdb create`: creates a file without bitmaps. */
export const command: CommandSpec = {
  name: "create",
  summary: "make an empty QDB file",
  synopsis: ["[--cluster-size=SIZE] FILE"],
  description: [
    "Makes a QDB file without a bitmap. A file that exists is not overwritten.",
    "The cluster size is the unit of space in the file: small clusters keep sparse bitmaps small, large ones keep big bitmaps quick.",
  ],
  operands: { min: 1, max: 1, names: ["FILE"] },
  options: [
    {
      long: "cluster-size",
      value: "SIZE",
      help: "a power of two from 512 to 2M; 4K unless told. It never changes later",
    },
    OUTPUT,
  ],
  examples: [
    ["qdb create backup.qdb", "An empty file with clusters of 4 KiB."],
    ["qdb create --cluster-size=64K backup.qdb", "The same with clusters of 64 KiB."],
  ],
  async run(call) {
    const [path = ""] = call.operands;
    const clusterSize = clusterSizeOf(call);
    requireNewFile(path);
    await writing(call, (options) => createQdb(path, { clusterSize }, options));
    return 0;
  },
};

function clusterSizeOf(call: Call): number | undefined {
  const text = call.value("cluster-size");
  if (text === undefined) return undefined;
  const size = parseSize(text, "--cluster-size");
  if (isClusterBits(Math.log2(Number(size)))) return Number(size);
  throw new QdbError("USAGE", `--cluster-size is ${size}; it must be a power of two from 512 to 2097152 (2M)`);
}
