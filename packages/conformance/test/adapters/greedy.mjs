// Takes memory where a bound is set.
import { speak, verbs } from "./toy.mjs";

const read = (path, ...rest) => {
  const said = verbs.read(path, ...rest);
  if (said.model?.limit) Buffer.alloc(200 * 1024 * 1024, 1);
  return said;
};
await speak({ own: { ...verbs, read } });
