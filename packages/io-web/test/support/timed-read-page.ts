// The same in a page: as a module of it, and as that of a worker, which reads what it is sent.
import { openQdb } from "@qdb/io-web";
import { type Timed, timedRead, type Work } from "./timed-read.ts";

declare global {
  var timedBlob: (blob: Blob, work: Work) => Promise<Timed>;
}

globalThis.timedBlob = (blob, work) => timedRead(() => openQdb(blob), work);

if (typeof document === "undefined")
  addEventListener("message", async ({ data: { blob, work } }: MessageEvent<{ blob: Blob; work: Work }>) => {
    postMessage(await timedBlob(blob, work));
  });
