import type { Bench } from "../bench/bench.ts";
import type { Kind } from "../corpus/manifest.ts";
import { tryCanon } from "./canon.ts";
import { tryCheck } from "./check.ts";
import { tryCrash } from "./crash.ts";
import { tryIo } from "./io.ts";
import { tryLimit } from "./limit.ts";
import { tryOps } from "./ops.ts";
import { tryRead } from "./read.ts";
import { tryRepair } from "./repair.ts";

/**
 * The function that tries a vector, for each kind.
 * @throws {VectorFailure} if the vector does not pass
 * @throws {Error} if the corpus is damaged
 */
export const KINDS: Readonly<Record<Kind, (bench: Bench) => Promise<void>>> = {
  read: tryRead,
  check: tryCheck,
  canon: tryCanon,
  ops: tryOps,
  repair: tryRepair,
  crash: tryCrash,
  io: tryIo,
  limit: tryLimit,
};
