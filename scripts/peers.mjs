// The programs that the tests compare with or need, and the Debian packages that have them.
import { existsSync } from "node:fs";
import { environment, fail, findCommand, heading, must } from "./setup.mjs";

const packageOf = {
  "qemu-img": "qemu-utils",
  "qemu-io": "qemu-utils",
  "qemu-nbd": "qemu-utils",
  "qemu-storage-daemon": "qemu-system-common",
  nbdinfo: "libnbd-bin",
  strace: "strace",
  losetup: "mount",
  cmp: "diffutils",
  python3: "python3",
  gcc: "gcc",
  make: "make",
  // Stryker looks for its children with it.
  ps: "procps",
};

/** Installs what is missing, or says how to. */
export function bringPeers() {
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
