// Commits to the file argv[2] argv[3] times, a new handle now and then; puts the file argv[4] beside it at the end.
import { writeFileSync } from "node:fs";
import { openQdbEditor } from "../../src/container.ts";
import { renumber } from "./qdb-files.ts";

const [path = "", commits = "", done = ""] = process.argv.slice(2);
let editor = await openQdbEditor(path);
for (let number = 1; number <= Number(commits); number++) {
  await renumber(editor, number);
  await editor.commit();
  if (number % 20 !== 0) continue;
  await editor.close();
  editor = await openQdbEditor(path);
}
await editor.close();
writeFileSync(done, "");
