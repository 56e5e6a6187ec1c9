// node dump-all.cjs COMMAND: what the built command at COMMAND prints for `dump PATH`, for each PATH of standard input's
// lines, a JSON line each. In one process, because a start of Node takes longer than a dump, a thousand times.
const fs = require("node:fs");
const { createInterface } = require("node:readline");
const vm = require("node:vm");

const [node, , command] = process.argv;
const { writeSync, exit } = { writeSync: fs.writeSync, exit: process.exit };
// A first line for the system (`#!`) is none for a function's body.
const text = fs.readFileSync(command, "utf8").replace(/^#!.*/, "");
const start = vm.compileFunction(text, ["require"], { filename: command });

/** Runs `qdb dump` on a file, to its end. */
async function dump(path) {
  const written = { 1: [], 2: [] };
  const listeners = new Map(["SIGHUP", "SIGINT", "SIGTERM"].map((signal) => [signal, process.listeners(signal)]));
  process.argv = [node, command, "dump", path];
  fs.writeSync = (descriptor, bytes, offset = 0, length = bytes.length - offset) => {
    written[descriptor].push(Buffer.from(bytes.subarray(offset, offset + length)));
    return length;
  };
  const status = await new Promise((resolve) => {
    process.exit = resolve;
    start(require);
  });
  fs.writeSync = writeSync;
  process.exit = exit;
  for (const [signal, before] of listeners) {
    for (const listener of process.listeners(signal)) if (!before.includes(listener)) process.off(signal, listener);
  }
  return { status, stdout: `${Buffer.concat(written[1])}`, stderr: `${Buffer.concat(written[2])}` };
}

(async () => {
  for await (const path of createInterface({ input: process.stdin })) {
    const line = Buffer.from(`${JSON.stringify(await dump(path))}\n`);
    for (let done = 0; done < line.length; ) done += writeSync(1, line, done);
  }
})();
