import { execFileSync } from "node:child_process";

/**
 * The environment of all programs that are measured. With NODE_EXTRA_CA_CERTS a Node reads certificates at each start, which takes longer
 * than the start; NODE_OPTIONS can be anything.
 */
export function measuredEnvironment(): NodeJS.ProcessEnv {
  const { NODE_EXTRA_CA_CERTS: _certificates, NODE_OPTIONS: _options, ...rest } = process.env;
  return rest;
}

/** A Node.js that runs what is measured. */
export interface MeasuredNode {
  readonly path: string;
  readonly version: string;
  readonly v8: string;
  /** Version of its binary interface; a native library is built for one. */
  readonly modules: string;
}

/** Returns the Node.js that `QDB_NODE` names, as for the tests, or the one that runs this. */
export function measuredNode(): MeasuredNode {
  const path = process.env.QDB_NODE ?? process.execPath;
  const script = "const { node, v8, modules } = process.versions; console.log(JSON.stringify({ node, v8, modules }))";
  const text = execFileSync(path, ["-e", script], { env: measuredEnvironment(), encoding: "utf8" });
  const { node, v8, modules }: { node: string; v8: string; modules: string } = JSON.parse(text);
  return { path, version: node, v8, modules };
}
