import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { expect, onTestFinished } from "vitest";
import { requirePeers, runPeer } from "../../../cli/test/peers.ts";
import { temporaryDirectory } from "./temp.ts";

requirePeers("qemu-img", "qemu-io", "qemu-nbd", "qemu-storage-daemon", "strace");

/** A new qcow2 image of 16 MiB. */
export function someImage(): string {
  const path = join(temporaryDirectory(), "disk.qcow2");
  runPeer("qemu-img", ["create", "-q", "-f", "qcow2", path, "16M"]);
  return path;
}

/** What a program of QEMU says when it may not open an image, without the names of program and image; "" if it may. */
export function refusalOf(line: readonly [string, ...string[]]): string {
  const [program, ...args] = line;
  const { error, status, stderr } = spawnSync(program, args, { encoding: "utf8", timeout: 60_000 });
  if (error !== undefined) throw error;
  if (status === 0) return "";
  return /Failed to get .*lock/.exec(stderr)?.[0] ?? stderr;
}

/** A program of QEMU that has an image open until the test ends, or it is ended. */
export interface RunningQemu {
  readonly pid: number;
  end(): Promise<void>;
}

/** Starts a program of QEMU, and waits until it has taken its locks on an image. `last` is the last byte. */
export async function startQemu(image: string, line: readonly [string, ...string[]], last = 203): Promise<RunningQemu> {
  const [program, ...args] = line;
  const child = spawn(program, args, { stdio: "ignore" });
  const end = (): Promise<void> => endOf(child);
  onTestFinished(end);
  const { ino } = statSync(image);
  const lock = new RegExp(`OFDLCK .*:${ino} ${last} `);
  await expect.poll(() => readFileSync("/proc/locks", "utf8"), { timeout: 60_000, interval: 20 }).toMatch(lock);
  // It looks for the locks of others right after that, and would give way to one that came first.
  await setTimeout(100);
  return { pid: child.pid ?? -1, end };
}

async function endOf(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once("close", resolve));
  child.kill("SIGKILL");
  await ended;
}
