// Opens the image argv[2] for changes. argv[3] is a file from whose place koffi is loaded; without it there is none, as this is a file of a
// temporary directory. argv[4] is "hold" to keep the image open until the process is killed. Prints whether QEMU is kept out, or the error.
import { createRequire } from "node:module";
import { isQdbError } from "@qdb/format";
import { openQcow2Store } from "../../src/container.ts";

const [path = "", place = "", hold] = process.argv.slice(2);
try {
  const store = openQcow2Store(path, place === "" ? {} : { loadKoffi: () => createRequire(place)("koffi") });
  console.log(store.qemuLocks.held ? "held" : store.qemuLocks.reason);
  if (hold === "hold") setInterval(() => undefined, 1000);
  else store.close();
} catch (error) {
  if (!isQdbError(error)) throw error;
  console.log(`${error.code} ${error.message}`);
}
