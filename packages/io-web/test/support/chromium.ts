import { existsSync } from "node:fs";

/** How Debian's Chromium is started: as root in a container too, without the network outside. */
export const CHROMIUM = {
  executablePath: "/usr/bin/chromium",
  chromiumSandbox: false,
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
  ],
};

/** Throws, with the command that installs it, when Chromium is missing: its tests fail then, and are not skipped. */
export function requireChromium(): void {
  if (existsSync(CHROMIUM.executablePath)) return;
  throw new Error("This test needs chromium: sudo apt-get install -y --no-install-recommends chromium");
}
