// What the reading commands need for qcow2 images. It is built into a file of its own, which is loaded for an image only: the commands on
// QDB files start without it.
import { closingOnError } from "@qdb/format/internal";
import { openFileSource } from "@qdb/io-node";
import { Qcow2File } from "@qdb/qcow2";
import type { Call } from "../shell/command.ts";

export {
  checkQcow2,
  countQcow2Bitmaps,
  drawQcow2Bitmap,
  drawQcow2Bitmaps,
  dumpQcow2,
  qcow2ExtensionName,
  qcow2Extensions,
  qcow2Features,
} from "@qdb/qcow2";

/** Opens a qcow2 image for reading its bitmaps. @throws {QdbError} as `Qcow2File.open`; what opening a file source throws */
export async function openImage(path: string, { signal }: Pick<Call, "signal">): Promise<Qcow2File> {
  const source = openFileSource(path);
  return closingOnError(source, () => Qcow2File.open(source, { signal }));
}
