import { statSync } from "node:fs";
import { createRequire } from "node:module";

/**
 * Loads koffi, an optional peer of this package that calls functions of C. It is loaded when it is needed first, and without a promise.
 * @throws {Error} with the code MODULE_NOT_FOUND if it is not installed
 */
export function loadKoffi(): unknown {
  // When Node resolves the symbolic links on the way to a module, it stops early if the last call of stat, whoever made it, was of a pipe,
  // such as standard output. The package is then not found where a package manager has links.
  statSync("/");
  // The build of the command replaces this by `require("koffi")`: in a bundle of CommonJS there is no `import.meta.url`.
  return createRequire(import.meta.url)("koffi");
}
