// Loads the built command without running it.
const { readdirSync, readFileSync } = require("node:fs");
const { dirname, join, resolve } = require("node:path");
const vm = require("node:vm");

/**
 * Reads all files of the command at `command`, and returns a function that runs it from its first line, as a new process does. The files are
 * not read again.
 */
exports.loadCommand = (command) => {
  const folder = dirname(command);
  const files = readdirSync(folder, { recursive: true }).filter((file) => file.endsWith(".cjs"));
  const compiled = new Map(files.map((file) => [join(folder, file), compile(join(folder, file))]));

  function run(file) {
    const module = { exports: {} };
    const load = (id) => (/^[./]/.test(id) ? run(resolve(dirname(file), id)) : require(id));
    compiled.get(file)(load, module, module.exports, dirname(file));
    return module.exports;
  }
  return () => run(command);
};

function compile(file) {
  // The line for the system (`#!`) is none of a function's body.
  const text = readFileSync(file, "utf8").replace(/^#!.*/, "");
  return vm.compileFunction(text, ["require", "module", "exports", "__dirname"], { filename: file });
}
