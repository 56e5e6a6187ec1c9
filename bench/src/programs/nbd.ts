import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";

/** A running qemu-nbd that shows a bitmap of an image. */
export class NbdServer {
  readonly #process: ChildProcess;
  readonly #folder: string;

  private constructor(folder: string, image: string, bitmap: string) {
    this.#folder = folder;
    const args = ["--persistent", "--read-only", "--socket", this.#socket, "-f", "qcow2", "-B", bitmap, image];
    this.#process = spawn("qemu-nbd", args, { stdio: "ignore" });
    // One that cannot be started makes no socket, for which `start` waits.
    this.#process.on("error", () => undefined);
  }

  /** Starts a server, and waits until it answers. @throws {Error} if it does not within a minute */
  static async start(image: string, bitmap: string): Promise<NbdServer> {
    // The path of a socket is at most 107 bytes, which that of a folder of the repository can exceed.
    const server = new NbdServer(mkdtempSync(join(tmpdir(), "qdb-bench-")), image, bitmap);
    for (let tries = 0; !existsSync(server.#socket); tries++) {
      if (tries === 600 || server.#process.exitCode !== null) {
        server.close();
        throw new Error(`qemu-nbd does not serve ${image}`);
      }
      await setTimeout(100);
    }
    return server;
  }

  get #socket(): string {
    return join(this.#folder, "socket");
  }

  /** The address for clients. */
  get uri(): string {
    return `nbd+unix:///?socket=${this.#socket}`;
  }

  /** Ends the server. */
  close(): void {
    this.#process.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
