// Opens the file argv[2] for writing again and again, argv[3] times with success; whoever is in makes the directory argv[4],
// which only one can. Prints how often it was refused.
import { mkdirSync, rmdirSync } from "node:fs";
import { isQdbError } from "@qdb/format";
import { openFileStore } from "../../src/container.ts";

const [path = "", times = "", marker = ""] = process.argv.slice(2);
let refused = 0;
for (let inside = 0; inside < Number(times); ) {
  try {
    const store = openFileStore(path);
    mkdirSync(marker);
    await new Promise((resolve) => setTimeout(resolve, 1));
    rmdirSync(marker);
    store.close();
    inside++;
  } catch (error) {
    if (!isQdbError(error, "LOCKED")) throw error;
    refused++;
  }
}
console.log(refused);
