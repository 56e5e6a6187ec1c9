// What `npm start` and `npm test` need before anything else, on a machine with Node 20.15 or newer and npm only:
// the pinned pnpm and, where this Node is too old for the tools, the pinned Node 24. Plain JavaScript without
// dependencies, because it runs before anything is installed.
import { spawnSync } from "node:child_process";
import { existsSync, linkSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("..", import.meta.url));
export const toolsFolder = join(root, ".tools");
const bin = join(toolsFolder, "bin");

// Where Debian keeps losetup, and what the PATH of an ordinary user leaves out.
const machinePath = [process.env.PATH, "/usr/sbin", "/sbin"].join(delimiter);

/** The file that this command is on the machine itself, without .tools/bin. */
export function findCommand(name) {
  const folders = machinePath.split(delimiter).filter((folder) => folder !== "" && folder !== bin);
  return folders.map((folder) => join(folder, name)).find(existsSync);
}

/** The environment of the commands that these scripts run. */
export const environment = {
  ...process.env,
  PATH: bin + delimiter + machinePath,
  // The machine's own Node: the tests run the built command with it, whatever they run on themselves.
  QDB_NODE: process.env.QDB_NODE ?? findCommand("node") ?? process.execPath,
  // A slow name server must not cost five seconds a look-up.
  RES_OPTIONS: process.env.RES_OPTIONS ?? "single-request timeout:1 attempts:5",
  TURBO_TELEMETRY_DISABLED: "1",
  DO_NOT_TRACK: "1",
};

export function heading(text) {
  console.log(`\n== ${text}`);
}

export function fail(text) {
  console.error(`\n${text}`);
  process.exit(1);
}

/** Runs a command at the top of the repository, gives its exit code; `quiet` shows its output only when it fails. */
export function run(command, args, { quiet = false, env = environment } = {}) {
  const stdio = quiet ? ["ignore", "pipe", "pipe"] : ["ignore", "inherit", "inherit"];
  const result = spawnSync(command, args, { cwd: root, env, stdio, encoding: "utf8", maxBuffer: 2 ** 28 });
  if (result.error) fail(`${command}: ${result.error.message}`);
  if (quiet && result.status !== 0) process.stderr.write(result.stdout + result.stderr);
  return result.status ?? 1;
}

/** The same for a step that the later ones need. */
export function must(command, args, options) {
  const status = run(command, args, options);
  if (status !== 0) fail(`Failed with exit code ${status}: ${command} ${args.join(" ")}`);
}

/** Brings the tools and the packages, and builds. */
export function setUp() {
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major < 20 || (major === 20 && minor < 15)) fail(`Node.js 20.15 or newer is needed; this is ${process.version}.`);
  const isRunByPnpm = process.env.npm_config_user_agent?.startsWith("pnpm/");
  if (!isRunByPnpm && !bringTool("pnpm", "pnpm") && !findCommand("pnpm")) {
    fail("There is no pinned pnpm for this platform: install pnpm 12.");
  }
  const canRunTools = (major === 22 && minor >= 12) || major === 24 || major >= 26;
  if (!canRunTools && !bringTool("node", "bin/node")) {
    fail(
      `The tools need Node.js 24, this is ${process.version}, and no Node.js is pinned for this platform: install it.`,
    );
  }
  heading("Packages");
  must("pnpm", ["install", "--frozen-lockfile"], { quiet: true });
  heading("Build");
  must("pnpm", ["build"], { quiet: true });
}

/**
 * Puts one tool into .tools/bin; false where there is no build of it for this platform. scripts/tools/NAME is an npm
 * project whose optional dependencies are the builds; npm picks the fitting one and holds it to the lockfile's hash.
 */
export function bringTool(tool, executable) {
  const folder = join(root, "scripts", "tools", tool);
  const { packages } = JSON.parse(readFileSync(join(folder, "package-lock.json"), "utf8"));
  const builds = Object.keys(packages).filter((path) => path !== "");
  const isInstalled = (path) => {
    const manifest = join(folder, path, "package.json");
    return existsSync(manifest) && JSON.parse(readFileSync(manifest, "utf8")).version === packages[path].version;
  };
  if (!builds.some(isInstalled)) {
    heading(`Tool: ${tool} ${packages[builds[0]].version}`);
    must("npm", ["ci", "--prefix", folder, "--ignore-scripts", "--no-audit", "--loglevel=error"], { quiet: true });
  }
  const build = builds.find(isInstalled);
  if (build === undefined) return false;
  mkdirSync(bin, { recursive: true });
  // Linked under another name first: a command that runs meanwhile never finds the tool missing.
  const link = join(bin, tool);
  rmSync(`${link}.new`, { force: true });
  linkSync(join(folder, build, executable), `${link}.new`);
  renameSync(`${link}.new`, link);
  return true;
}
