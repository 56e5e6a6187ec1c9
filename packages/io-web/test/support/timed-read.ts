// What is timed of a large file, in Node and in a page.
import type { QdbFile } from "@qdb/format";

/** What to do with the bitmap `a` of a file: count its dirty bits, or list its dirty extents. */
export type Work = "count" | "list";

/** The milliseconds that it took, and the number of bits or extents. */
export interface Timed {
  readonly ms: number;
  readonly found: number;
}

/** Does the work on a file that was opened for it, and closes the file. */
export async function timedRead(open: () => Promise<QdbFile>, work: Work): Promise<Timed> {
  const start = performance.now();
  const file = await open();
  const bitmap = file.bitmap("a");
  let found = 0;
  if (work === "count") found = (await bitmap.count()).bits;
  else for await (const { count } of bitmap.batches()) found += count;
  await file.close();
  return { ms: performance.now() - start, found };
}
