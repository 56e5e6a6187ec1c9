// The programs that the tests compare with or need: Debian packages, and the runtimes that run the packages besides Node.
import { existsSync, readFileSync } from "node:fs";
import { bringTool, environment, fail, findCommand, heading, must } from "./setup.mjs";

/** The programs with their packages; the tests name these too where a program is missing. Stryker looks for its children with ps. */
const packageOf = JSON.parse(readFileSync(new URL("debian-packages.json", import.meta.url), "utf8"));

/** Installs what is missing, or says how to. */
export function bringPeers() {
  bringDebianPackages();
  for (const [name, executable] of [
    ["deno", "deno"],
    ["bun", "bin/bun"],
  ]) {
    if (!bringTool(name, executable) && !findCommand(name)) {
      fail(`The tests need ${name}, and no ${name} is pinned for this platform: install it.`);
    }
  }
}

function bringDebianPackages() {
  const commands = Object.keys(packageOf).filter((name) => !findCommand(name));
  const missing = new Set(commands.map((name) => packageOf[name]));
  // gcc comes without the headers that a C program needs.
  if (!existsSync("/usr/include/stdio.h")) missing.add("libc6-dev");
  if (missing.size === 0) return;

  const names = [...missing].join(" ");
  const aptGet = findCommand("apt-get");
  if (aptGet === undefined || process.getuid?.() !== 0) {
    const command = `sudo apt-get update && sudo apt-get install -y --no-install-recommends ${names}`;
    fail(`The tests need more programs. On Debian, run this first:\n\n  ${command}`);
  }
  heading(`Debian packages: ${names}`);
  const options = { quiet: true, env: { ...environment, DEBIAN_FRONTEND: "noninteractive" } };
  must(aptGet, ["update", "-qq"], options);
  must(aptGet, ["install", "-y", "-qq", "--no-install-recommends", ...missing], options);
}
