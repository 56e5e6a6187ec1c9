import { randomUUID } from "node:crypto";
import { isQdbError, QdbError } from "@qdb/format";
import { type FileContents, fromUuid, JsonLoader, run } from "@qdb/format/container";
import { type Spool, SpooledBits } from "@qdb/format/internal";
import { nodeDigests } from "@qdb/io-node";
import { createFileBy } from "@qdb/io-node/container";
import { NOTHING } from "../files/new-bitmaps.ts";
import { fillFile, requireNewFile, writing } from "../files/new-file.ts";
import { inputName, readText } from "../files/read-input.ts";
import { withSpool } from "../files/spool.ts";
import { type Call, type CommandSpec, OUTPUT, PROGRESS } from "../shell/command.ts";
import { isComplete } from "../shell/errors.ts";

/** `qdb load`: creates a file from the JSON form. */
export const command: CommandSpec = {
  name: "load",
  summary: "make a QDB file from the JSON that dump writes",
  synopsis: ["[--draft] JSON FILE"],
  description: [
    "Makes a QDB file from its JSON form; - reads it from standard input. A file that exists is not overwritten.",
    "Taken are form, cluster_bits, file_id, the all-ones feature, extensions, and of each bitmap name, size, granularity, flags, records and dirty ranges, which are rounded outward. dirty_bytes and bits_sha256 must match if they are given; the rest is derived anew.",
  ],
  operands: { min: 2, max: 2, names: ["JSON", "FILE"] },
  options: [{ long: "draft", help: "make a file in draft form, without checksums" }, OUTPUT, ...PROGRESS],
  examples: [
    ["qdb load backup.json backup.qdb", "A file from its JSON form."],
    [
      "qdb dump backup.qdb | qdb load --draft - draft.qdb",
      "The same bitmaps for a reader that knows the posted header only.",
    ],
  ],
  async run(call) {
    const [json = "", path = ""] = call.operands;
    requireNewFile(path);
    await withSpool(path, async (spool) => {
      const contents = await read(json, call, spool);
      await writing(call, ({ signal, onProgress }) =>
        createFileBy(path, (file) => run(fillFile(file, contents, { onProgress }), NOTHING, { signal }), { signal }),
      );
    });
    return 0;
  },
};

async function read(json: string, call: Call, spool: Spool): Promise<FileContents<SpooledBits>> {
  const loader = new JsonLoader({
    draft: call.has("draft"),
    fileId: fromUuid(randomUUID()),
    writerId: fromUuid(randomUUID()),
    digests: nodeDigests,
    newBits: (shape) => new SpooledBits(spool, shape),
  });
  try {
    for await (const text of readText(json, call.signal)) loader.push(text);
    return loader.finish();
  } catch (error) {
    if (!isQdbError(error) || isComplete(error) || error.message.includes(inputName(json))) throw error;
    throw new QdbError(error.code, `${inputName(json)}: ${error.message}`, error.where, { cause: error });
  }
}
