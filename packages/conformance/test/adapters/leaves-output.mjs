// Refuses a script, but has written half of it.
import { writeFileSync } from "node:fs";
import { speak, verbs } from "./toy.mjs";

const apply = (path, script, out) => {
  writeFileSync(out, "half");
  return verbs.apply(path, script, out);
};
await speak({ own: { ...verbs, apply } });
