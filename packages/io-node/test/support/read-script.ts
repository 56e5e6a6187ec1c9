// Run by the tests under strace: reads the file argv[2] whole, prints its bytes as hex or the error.
import { isQdbError } from "@qdb/format";
import { toHex } from "@qdb/format/container";
import { openFileSource } from "../../src/index.ts";

try {
  const source = openFileSource(process.argv[2] ?? "");
  console.log(JSON.stringify({ code: "read", message: toHex(source.readSync(0, source.size)) }));
} catch (error) {
  if (!isQdbError(error)) throw error;
  console.log(JSON.stringify({ code: error.code, message: error.message }));
}
