// A contestant in a process of its own: reads the names of operations, one a line, and answers each with a line: nanoseconds and the answer.
// With `-check` at the end of the name the answer is the full one.
// Arguments: kind of contestant, the two files of the data, the folder in which the peers are installed.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { type BitSetClass, bitSetOperations } from "./bit-sets.ts";
import { Input } from "./input.ts";
import { nodeOperations } from "./node.ts";
import type { Operation, Operations } from "./operation.ts";
import { qdbOperations } from "./qdb.ts";
import { type RoaringModule, roaringOperations } from "./roaring.ts";

async function operationsOf(kind: string, input: Input, peers: string): Promise<Operations> {
  const peer = createRequire(`${peers}/package.json`);
  switch (kind) {
    case "qdb":
      return qdbOperations(input);
    case "node":
      return nodeOperations(input);
    case "roaring":
    case "roaring-wasm": {
      const module: RoaringModule = peer(kind);
      await module.roaringLibraryInitialize?.();
      return roaringOperations(input, module);
    }
    case "fastbitset": {
      const set: BitSetClass = peer(kind);
      return bitSetOperations(input, set);
    }
    case "typedfastbitset": {
      const { TypedFastBitSet }: { TypedFastBitSet: BitSetClass } = peer(kind);
      return bitSetOperations(input, TypedFastBitSet);
    }
    default:
      throw new Error(`no contestant ${kind}`);
  }
}

/** At the end of the name of an operation that is run for its full answer. */
const CHECK = "-check";

/** Shorter times are not worth a look at the processor time, which is told in microseconds. */
const SHORT = 200_000;

/**
 * Measures an operation. On a busy machine a process waits for a processor, the longer the more often; so the processor time counts if it
 * is less than the time that went by.
 */
async function measure({ reset, run, answer, fullAnswer }: Operation, isCheck: boolean): Promise<string> {
  reset?.();
  const usage = process.cpuUsage();
  const start = process.hrtime.bigint();
  let result = run();
  // Only what is asynchronous is awaited: a turn of the event loop is no part of the rest.
  if (result instanceof Promise) result = await result;
  const wall = Number(process.hrtime.bigint() - start);
  const { user, system } = process.cpuUsage(usage);
  const time = wall < SHORT ? wall : Math.min(wall, (user + system) * 1000);
  if (!isCheck) return `${time} ${answer === undefined ? result : answer(result)}`;
  if (fullAnswer === undefined) throw new Error("the operation has no full answer");
  return `${time} ${fullAnswer(result)}`;
}

async function main([kind = "", a = "", b = "", peers = ""]: readonly string[]): Promise<void> {
  const operations = await operationsOf(kind, new Input(a, b), peers);
  const made = new Map<string, Operation>();
  console.log("ready");
  for await (const line of createInterface({ input: process.stdin })) {
    const isCheck = line.endsWith(CHECK);
    const name = isCheck ? line.slice(0, -CHECK.length) : line;
    const make = operations[name];
    if (make === undefined) throw new Error(`${kind} has no operation ${name}`);
    const operation = made.get(name) ?? make();
    made.set(name, operation);
    console.log(await measure(operation, isCheck).catch(errorLine));
  }
}

function errorLine(error: unknown): string {
  return `error ${(error instanceof Error ? error.message : String(error)).split("\n")[0]}`;
}

main(process.argv.slice(2)).catch((error: unknown) => {
  console.log(errorLine(error));
  process.exitCode = 1;
});
