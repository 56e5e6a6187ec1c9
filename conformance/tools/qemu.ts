// Scripts of operations that QEMU can do too, done by QEMU: the marks are writes to a disk, and its own digest says what came of it.
import { type ChildProcessByStdio, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface, type Interface } from "node:readline";
import type { Readable, Writable } from "node:stream";

const PROGRAM = "qemu-storage-daemon";
const INSTALL = "sudo apt-get install -y --no-install-recommends qemu-system-common";
const NODE = "disk";
/** The most that one NBD request writes here. */
const MOST_BYTES = 1 << 30;

/** QEMU's digest of a bitmap: SHA-256 of its bytes, padded with zeros to a multiple of 8 (spec §6). */
export function digestOfExtents(
  dirty: readonly (readonly [string, string])[],
  size: number,
  granularity: number,
): string {
  const bytes = new Uint8Array(Math.ceil(Math.ceil(size / granularity) / 64) * 8);
  for (const [offset, length] of dirty) {
    const end = Math.ceil((Number(offset) + Number(length)) / granularity);
    for (let bit = Number(offset) / granularity; bit < end; bit++)
      bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) | (1 << (bit & 7));
  }
  return createHash("sha256").update(bytes).digest("hex");
}

/** A bitmap after a script: its shape, and QEMU's digest of it. */
export interface QemuBitmap {
  readonly size: number;
  readonly granularity: number;
  readonly digest: string;
}

/** Lets QEMU do a script, and gives its bitmaps. @throws {Error} a line that QEMU cannot do, or does not do; QEMU is missing */
export async function replay(script: readonly string[]): Promise<Map<string, QemuBitmap>> {
  const lines = script.map((line) => line.split(" ").map(decodeURIComponent)).filter(([verb]) => verb !== "create");
  const sizes = new Set(lines.filter(([verb]) => verb === "add").map(([, , size]) => Number(size)));
  const [size] = sizes;
  if (size === undefined || sizes.size > 1 || size % 512 !== 0)
    throw new Error("the bitmaps of a disk of QEMU have one size, a multiple of 512");
  const daemon = await Daemon.start(size);
  try {
    const granularities = new Map<string, number>();
    for (const [verb = "", name = "", first = "", second = ""] of lines) {
      if (verb === "add") granularities.set(name, Number(second));
      await daemon.do(verb, name, first, second, size);
    }
    const bitmaps = new Map<string, QemuBitmap>();
    for (const [name, granularity] of granularities)
      bitmaps.set(name, { size, granularity, digest: await daemon.digest(name) });
    return bitmaps;
  } finally {
    daemon.close();
  }
}

/** One daemon with a disk that keeps nothing but its bitmaps. */
class Daemon {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #answers: AsyncIterator<string>;
  readonly #lines: Interface;
  readonly #directory: string;
  #disk: Socket | undefined;

  private constructor(size: number) {
    this.#directory = mkdtempSync(join(tmpdir(), "qdb-qemu-"));
    const words = [
      ...["--blockdev", `driver=null-co,node-name=${NODE},size=${size},read-zeroes=on`],
      ...["--chardev", "stdio,id=monitor", "--monitor", "chardev=monitor"],
      ...["--nbd-server", `addr.type=unix,addr.path=${this.#socket}`],
      ...["--export", `type=nbd,id=export,node-name=${NODE},name=${NODE},writable=on`],
    ];
    this.#child = spawn(PROGRAM, words, { stdio: ["pipe", "pipe", "inherit"] });
    this.#lines = createInterface({ input: this.#child.stdout });
    this.#answers = this.#lines[Symbol.asyncIterator]();
  }

  get #socket(): string {
    return join(this.#directory, "nbd");
  }

  static async start(size: number): Promise<Daemon> {
    const daemon = new Daemon(size);
    try {
      await once(daemon.#child, "spawn").catch((error: unknown) => {
        throw new Error(`This test needs ${PROGRAM}: ${INSTALL}`, { cause: error });
      });
      await daemon.#answers.next(); // the greeting
      await daemon.#execute("qmp_capabilities", {});
      daemon.#disk = await openDisk(daemon.#socket);
      return daemon;
    } catch (error) {
      daemon.close();
      throw error;
    }
  }

  /** One line of a script. A write marks every bitmap that is enabled, so only the one that is meant is, while it lasts. */
  async do(verb: string, name: string, first: string, second: string, size: number): Promise<void> {
    const at = { node: NODE, name };
    if (verb === "add") {
      await this.#execute("block-dirty-bitmap-add", { ...at, granularity: Number(second), disabled: true });
    } else if (verb === "merge") {
      await this.#execute("block-dirty-bitmap-merge", { node: NODE, target: name, bitmaps: [first] });
    } else if (verb === "clear" || (verb === "unmark" && first === "0" && Number(second) === size)) {
      await this.#execute("block-dirty-bitmap-clear", at);
    } else if (verb === "mark" && this.#disk !== undefined) {
      await this.#execute("block-dirty-bitmap-enable", at);
      const end = Number(first) + Number(second);
      for (let offset = Number(first); offset < end; offset += MOST_BYTES)
        await writeZeros(this.#disk, offset, Math.min(MOST_BYTES, end - offset));
      await this.#execute("block-dirty-bitmap-disable", at);
    } else throw new Error(`QEMU has no ${verb}`);
  }

  async digest(name: string): Promise<string> {
    const { sha256 } = (await this.#execute("x-debug-block-dirty-bitmap-sha256", { node: NODE, name })) as {
      sha256: string;
    };
    return sha256;
  }

  async #execute(command: string, args: Readonly<Record<string, unknown>>): Promise<unknown> {
    this.#child.stdin.write(`${JSON.stringify({ execute: command, arguments: args })}\n`);
    for (;;) {
      const { value, done } = await this.#answers.next();
      if (done === true) throw new Error(`${PROGRAM} ended at ${command}`);
      const answer = JSON.parse(value) as { return?: unknown; error?: { desc: string } };
      if (answer.error !== undefined) throw new Error(`${command} ${JSON.stringify(args)}: ${answer.error.desc}`);
      if (answer.return !== undefined) return answer.return; // what is neither is an event
    }
  }

  close(): void {
    this.#disk?.destroy();
    this.#lines.close();
    this.#child.kill();
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

/** Connects to the disk by NBD: the old way to name an export, after which only requests follow. */
async function openDisk(path: string): Promise<Socket> {
  const socket = connect(path);
  await once(socket, "connect");
  await read(socket, 18); // NBDMAGIC, IHAVEOPT, flags
  const flags = Buffer.from("00000003", "hex"); // fixed newstyle, no zeros behind the answer
  const option = Buffer.concat([Buffer.from("IHAVEOPT"), Buffer.from("0000000100000004", "hex"), Buffer.from(NODE)]);
  socket.write(Buffer.concat([flags, option]));
  await read(socket, 10); // size and flags of the export
  return socket;
}

async function writeZeros(socket: Socket, offset: number, length: number): Promise<void> {
  const request = Buffer.alloc(28);
  request.writeUInt32BE(0x25609513, 0);
  request.writeUInt16BE(6, 6); // NBD_CMD_WRITE_ZEROES
  request.writeBigUInt64BE(BigInt(offset), 16);
  request.writeUInt32BE(length, 24);
  socket.write(request);
  const reply = await read(socket, 16);
  const error = reply.readUInt32BE(4);
  if (reply.readUInt32BE(0) !== 0x67446698 || error !== 0) throw new Error(`NBD write at ${offset}: error ${error}`);
}

/** Exactly so many bytes. */
async function read(socket: Socket, length: number): Promise<Buffer> {
  for (;;) {
    const bytes: unknown = socket.read(length);
    if (bytes instanceof Buffer) return bytes;
    if (socket.readableEnded) throw new Error("the NBD server closed the connection");
    await once(socket, "readable");
  }
}
