// Takes its time where a time is set.
import { speak, verbs } from "./toy.mjs";

const read = (path, ...rest) => {
  const said = verbs.read(path, ...rest);
  if (said.model?.limit) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1200);
  return said;
};
await speak({ own: { ...verbs, read } });
