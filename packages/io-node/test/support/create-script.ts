// Run by the tests under strace: makes the file argv[2] of the image of support/images.ts, prints what came of it.
import { isQdbError } from "@qdb/format";
import { createFile } from "../../src/container.ts";
import { fullImage } from "./images.ts";

try {
  await createFile(process.argv[2] ?? "", fullImage());
  console.log(JSON.stringify({ code: "created", message: "" }));
} catch (error) {
  if (!isQdbError(error)) throw error;
  console.log(JSON.stringify({ code: error.code, message: error.message }));
}
