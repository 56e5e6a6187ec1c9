// Writes to a file before one of the calls of a program to the file system.
const { dirname } = require("node:path");

const NAMES = ["statSync", "fstatSync", "openSync", "readSync", "writeSync"];

/**
 * Lists the calls on files beside `changed` from now on, as pairs of name and path, and writes to it before the one with the
 * number `at`. `end` puts everything back.
 */
exports.watch = (fs, { at, changed }) => {
  const { closeSync, openSync, writeSync } = fs;
  const paths = new Map();
  const calls = [];
  const change = () => {
    const fd = openSync(changed, "r+");
    writeSync(fd, Buffer.from("changed"), 0, 7, 0);
    closeSync(fd);
  };
  const real = Object.fromEntries(NAMES.map((name) => [name, fs[name]]));
  for (const name of NAMES) {
    fs[name] = (...args) => {
      const path = typeof args[0] === "number" ? paths.get(args[0]) : String(args[0]);
      if (path === undefined || dirname(path) !== dirname(changed)) return real[name](...args);
      if (calls.length === at) change();
      calls.push([name, path]);
      const result = real[name](...args);
      if (name === "openSync") paths.set(result, path);
      return result;
    };
  }
  return { calls, end: () => Object.assign(fs, real) };
};
