import type { Bench } from "../bench.ts";
import type { Kind } from "../manifest.ts";
import { tryCrash } from "./crash.ts";
import { tryCheck, tryIo, tryLimit, tryRead } from "./read.ts";
import { tryCanon, tryOps, tryRepair } from "./write.ts";

/** How a vector of each kind is tried. @throws {Wrong} when it does not pass */
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
