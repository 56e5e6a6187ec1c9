// Makes the file argv[2]; says that it is being made when half of it is written, and goes on when the file argv[3] is there.
import { existsSync } from "node:fs";
import { isQdbError } from "@qdb/format";
import { createFile } from "../../src/container.ts";
import { fullImage } from "./images.ts";

const [path = "", go = ""] = process.argv.slice(2);
const image = fullImage();
try {
  await createFile(path, {
    length: image.length,
    *chunks() {
      for (const chunk of image.chunks()) {
        yield chunk;
        if (chunk.offset !== 0) continue;
        console.log("half");
        while (!existsSync(go)) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
      }
    },
  });
  console.log("made");
} catch (error) {
  if (!isQdbError(error)) throw error;
  console.log(error.code);
}
