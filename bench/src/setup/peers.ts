import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { BENCH, BUILT } from "../paths.ts";
import type { MeasuredNode } from "./environment.ts";

/** The libraries that are compared with, in a folder of their own. */
export interface Peers {
  readonly folder: string;
  /** Why a library cannot be measured; undefined if it is installed. */
  missing(name: string): string | undefined;
}

/**
 * Installs the libraries of bench/peers with npm, once for each Node.js. One of them is compiled; one that cannot be installed is left out,
 * since all of them are optional.
 */
export function bringPeers(
  node: MeasuredNode,
  say: (text: string) => void,
  folder = join(BUILT, `peers-${node.modules}`),
): Peers {
  const done = join(folder, "installed");
  const lock = readFileSync(join(BENCH, "peers", "package-lock.json"), "utf8");
  if (!existsSync(done) || readFileSync(done, "utf8") !== lock) {
    say(`Installing the libraries to compare with into ${folder}`);
    mkdirSync(folder, { recursive: true });
    for (const name of ["package.json", "package-lock.json"])
      copyFileSync(join(BENCH, "peers", name), join(folder, name));
    if (install(folder, node, say)) writeFileSync(done, lock);
  }
  return {
    folder,
    missing(name) {
      if (!existsSync(join(folder, "node_modules", name))) return "not installed";
      return undefined;
    },
  };
}

/** Runs npm with the Node.js that is measured, so that native code is compiled for it. */
function install(folder: string, node: MeasuredNode, say: (text: string) => void): boolean {
  const prefix = dirname(dirname(node.path));
  const hasHeaders = existsSync(join(prefix, "include", "node", "node.h"));
  const result = spawnSync("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"], {
    cwd: folder,
    env: {
      ...process.env,
      PATH: dirname(node.path) + delimiter + process.env.PATH,
      ...(hasHeaders ? { npm_config_nodedir: prefix } : {}),
    },
    encoding: "utf8",
    timeout: 600_000,
  });
  if (result.status === 0) return true;
  say(`npm failed: ${result.error?.message ?? result.stderr.trim()}`);
  return false;
}
