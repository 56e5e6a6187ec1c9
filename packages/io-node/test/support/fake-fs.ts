import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { onTestFinished } from "vitest";

type Replaceable = "statSync" | "fstatSync" | "linkSync" | "readSync" | "fsyncSync" | "closeSync";

/** Puts a function in the place of one of node:fs, for one test. */
export function replaceInFs<K extends Replaceable>(name: K, make: (real: (typeof fs)[K]) => (typeof fs)[K]): void {
  const real = fs[name];
  fs[name] = make(real);
  syncBuiltinESMExports();
  onTestFinished(() => {
    fs[name] = real;
    syncBuiltinESMExports();
  });
}

/** An error as Node throws it for EIO. */
export function ioError(): Error {
  return Object.assign(new Error("EIO: i/o error"), { code: "EIO", errno: -5 });
}
