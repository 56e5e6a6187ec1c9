// Makes files in the directory argv[2], argv[3] of them or without end, and removes each again.
import { rmSync } from "node:fs";
import { join } from "node:path";
import { createFile } from "../../src/container.ts";
import { fullImage } from "./images.ts";

const [directory = "", count = "Infinity"] = process.argv.slice(2);
for (let number = 0; number < Number(count); number++) {
  const path = join(directory, `${process.pid}-${number}`);
  await createFile(path, fullImage());
  rmSync(path);
  if (number === 0) console.log("first");
}
console.log("all");
