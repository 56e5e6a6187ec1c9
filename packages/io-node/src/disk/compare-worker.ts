// The module of a thread that compares two images which the thread that starts it has open.
import { parentPort, workerData } from "node:worker_threads";
import { isQdbError } from "@qdb/format";
import { Handle } from "../system/handle.ts";
import { type ImagePair, PartComparer, partCount } from "./compare-parts.ts";
import { type CompareOrder, type CompareReport, type SharedImage, takePart } from "./compare-thread.ts";

const order = workerData as CompareOrder;

function tell(report: CompareReport): void {
  parentPort?.postMessage(report);
}

/** Returns a handle on an image. @throws {Error} if the descriptor is that of another file here, as on a host whose threads share none */
function openShared({ path, descriptor, key }: SharedImage): Handle {
  const image = Handle.ofOtherThread(path, descriptor);
  if (image.status().key !== key) throw new Error("this host shares no file descriptors between threads");
  return image;
}

function compareParts(pair: ImagePair): void {
  const taken = new Int32Array(order.taken);
  const parts = partCount(pair);
  const comparer = new PartComparer(pair);
  tell({ kind: "begins" });
  for (let part = takePart(taken); part < parts; part = takePart(taken)) {
    const differing: number[] = [];
    for (const _ of comparer.compare(part, (granule) => differing.push(granule)));
    tell({ kind: "part", part, differing: Float64Array.from(differing) });
  }
}

const { total, granularity } = order;
const pair = { old: openShared(order.old), now: openShared(order.now), total, granularity };
try {
  compareParts(pair);
} catch (error) {
  if (!isQdbError(error)) throw error;
  const { code, message, cause } = error;
  tell({ kind: "failed", code, message, cause });
}
