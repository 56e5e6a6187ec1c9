import type { BitsReader } from "./bits/bits-reader.ts";
import type { ClusterMap } from "./bits/cluster-map.ts";
import { askBeforeBits } from "./open/before-bits.ts";
import { refuseMirror } from "./open/header-source.ts";
import type { QdbIndex } from "./open/qdb-index.ts";
import type { Plan } from "./ports/plan.ts";
import { runTask, streamTask } from "./ports/task.ts";
import { readSame, sameBitmap } from "./read-stored.ts";
import type { BitmapEntry } from "./records/bitmap-entry.ts";
import type { StoredBitmap } from "./stored-bitmap.ts";

/** Returns the reader of a bitmap of a QDB file. It calls `beforeBits` before it gives out bits, and throws what that throws. */
export function bitsReaderOf(bitmap: StoredBitmap): BitsReader {
  const { reader, entry } = bitmap;
  const onMap = <T, O>(plan: (map: ClusterMap) => Plan<T, O>) =>
    function* (index: QdbIndex, same: BitmapEntry): Plan<T, O> {
      refuseMirror(index, reader.options, same.label);
      return yield* plan(yield* reader.readMap(index, same));
    };
  return {
    shape: bitmap,
    run: (plan, options) => runTask(readSame(reader, entry, onMap(plan), options)),
    stream: (plan, sizeOf, options) => {
      const work = onMap(plan);
      const permit = (index: QdbIndex) => askBeforeBits(reader.options, sameBitmap(index, entry));
      return streamTask(
        reader.stream((index) => work(index, sameBitmap(index, entry)), sizeOf, { ...options, permit }),
      );
    },
  };
}
