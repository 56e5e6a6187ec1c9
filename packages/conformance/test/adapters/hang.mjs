// Never answers a check.
import { speak, verbs } from "./toy.mjs";

const check = () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
await speak({ own: { ...verbs, check } });
