// Writes to what it reads.
import { closeSync, openSync, writeSync } from "node:fs";
import { speak, verbs } from "./toy.mjs";

await speak({
  own: {
    ...verbs,
    read(path, ...rest) {
      const said = verbs.read(path, ...rest);
      const file = openSync(path, "r+");
      writeSync(file, " ", 4095);
      closeSync(file);
      return said;
    },
  },
});
