// node resident.cjs COMMAND: runs the built command at COMMAND from its first line, again for each line of standard input, a
// JSON object with its arguments, and answers each with a line: the exit code, what was printed, and files that were left open.
// With a moment (moments.cjs) a file is written to meanwhile, and the answer lists calls to the file system.
const fs = require("node:fs");
const { createInterface } = require("node:readline");
const { loadCommand } = require("./load-command.cjs");
const { watch } = require("./moments.cjs");

const [node, , command] = process.argv;
const { writeSync } = fs;
const { exit } = process;
const SIGNALS = ["SIGHUP", "SIGINT", "SIGTERM"];
const start = loadCommand(command);

/** Files that this process has open. */
function openFiles() {
  return fs.readdirSync("/proc/self/fd").flatMap((fd) => {
    try {
      const path = fs.readlinkSync(`/proc/self/fd/${fd}`);
      return /^\/(?!dev\/|proc\/)/.test(path) ? [path] : [];
    } catch {
      // The folder that was just listed is open no more.
      return [];
    }
  });
}

/** Runs the command to its end. */
async function run({ args, moment }) {
  const written = { 1: [], 2: [] };
  const before = new Set(openFiles());
  const listeners = SIGNALS.map((signal) => process.listeners(signal));
  process.argv = [node, command, ...args];
  fs.writeSync = (fd, bytes, ...place) => {
    const [offset = 0, length = bytes.length - offset] = place;
    if (written[fd] === undefined) return writeSync(fd, bytes, ...place);
    written[fd].push(Buffer.from(bytes.subarray(offset, offset + length)));
    return length;
  };
  const watched = moment === undefined ? undefined : watch(fs, moment);
  const status = await new Promise((end) => {
    process.exit = end;
    start();
  });
  watched?.end();
  fs.writeSync = writeSync;
  process.exit = exit;
  for (const [at, signal] of SIGNALS.entries()) {
    for (const listener of process.listeners(signal).filter((now) => !listeners[at].includes(now)))
      process.off(signal, listener);
  }
  return {
    status,
    stdout: Buffer.concat(written[1]).toString("base64"),
    stderr: Buffer.concat(written[2]).toString("utf8"),
    calls: watched?.calls,
    left: openFiles().filter((path) => !before.has(path)),
  };
}

(async () => {
  for await (const line of createInterface({ input: process.stdin })) {
    const answer = Buffer.from(`${JSON.stringify(await run(JSON.parse(line)))}\n`);
    // The pipe is full where an answer is long: what waits for it can.
    await new Promise((done) => process.stdout.write(answer, done));
  }
})();
