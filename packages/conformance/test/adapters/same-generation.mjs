// Changes a file and leaves its generation.
import { readFileSync, writeFileSync } from "node:fs";
import { speak, verbs } from "./toy.mjs";

const apply = (path, script, out) => {
  const done = verbs.apply(path, script, out);
  if (path !== "-") writeFileSync(out, readFileSync(out, "utf8").replace('"generation":"2"', '"generation":"1"'));
  return done;
};
await speak({ own: { ...verbs, apply } });
