// `qdb export` into qcow2 images. It is built into a file of its own, which is loaded for these formats only.
import type { QdbEdit } from "@qdb/format";
import { openQcow2Store, PreparedFile } from "@qdb/io-node/container";
import { editQcow2, newImage } from "@qdb/qcow2";
import { warnOfOpenImage } from "../files/image-warnings.ts";
import { requireNewOutput } from "../files/new-output.ts";
import { about } from "../files/open-qdb.ts";
import type { Call } from "../shell/command.ts";
import { ofOtherFiles } from "../shell/errors.ts";
import { withoutClose, writeWhole } from "./new-image-file.ts";
import { type ExportedBitmap, readBitmapsForImage } from "./read-bitmaps.ts";

/** Bytes per cluster of an image that holds nothing but bitmaps, as QEMU has it by default. */
const CLUSTER_SIZE = 65536;

/**
 * Adds bitmaps of a QDB file to an image that is there, in one commit.
 * @throws {QdbError} ALREADY_EXISTS for a bitmap that the image has; SIZE_MISMATCH; as reading the bitmaps, `openQcow2Store` and `editQcow2`
 */
export async function exportIntoImage(path: string, image: string, call: Call): Promise<void> {
  const { bitmaps } = await readBitmapsForImage(path, call);
  await ofOtherFiles(() =>
    about(image, async () => {
      const store = openQcow2Store(image);
      warnOfOpenImage(image, store);
      await editQcow2(store, (edit) => addAll(edit, bitmaps), { signal: call.signal });
    }),
  );
}

/**
 * Makes an image of the disk's length that holds nothing but bitmaps.
 * @throws {QdbError} ALREADY_EXISTS; as reading the bitmaps and making a file
 */
export async function exportBitmapImage(path: string, out: string, call: Call): Promise<void> {
  requireNewOutput(out);
  const { size, bitmaps } = await readBitmapsForImage(path, call);
  await ofOtherFiles(async () => {
    const image = newImage({ size, clusterSize: CLUSTER_SIZE });
    const file = new PreparedFile(out);
    try {
      writeWhole(file, image);
      await editQcow2(withoutClose(file), (edit) => addAll(edit, bitmaps), { signal: call.signal });
    } catch (error) {
      throw file.discard(error);
    }
    file.finish();
  });
}

export { exportShell } from "./export-shell.ts";

/** Queues the addition of bitmaps. */
function addAll(edit: QdbEdit, bitmaps: readonly ExportedBitmap[]): void {
  for (const { name, enabled, bits } of bitmaps) edit.add({ name, enabled, bits });
}
