import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { packageOf } from "../../../cli/test/peers.ts";
import { temporaryDirectory } from "./temp.ts";

/** Runs a program of the machine, gives what it printed; `answers` are exit codes that are no failure. */
export function commandWith(answers: readonly number[], name: string, ...args: string[]): string {
  // Debian keeps losetup where an ordinary PATH does not look.
  const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` };
  const { error, status, stdout, stderr } = spawnSync(name, args, { encoding: "utf8", env });
  if (error) throw new Error(`${name} is missing: apt-get install ${packageOf(name)}`, { cause: error });
  if (!answers.includes(status ?? -1)) throw new Error(`${name} ${args.join(" ")}: ${stderr}`);
  return stdout.trim();
}

/** The same for a program that must succeed. */
export function command(name: string, ...args: string[]): string {
  return commandWith([0], name, ...args);
}

/** Fails the test where it cannot do its work. */
function requireRoot(what: string): void {
  if (process.getuid?.() !== 0)
    throw new Error(`this test needs ${what}, which only root can make: run the tests as root`);
}

/** A block device over a file, for one test. */
export function loopDevice(file: string, ...options: string[]): string {
  requireRoot("a loop device (losetup, of Debian's package mount)");
  const device = command("losetup", "--find", "--show", ...options, file);
  onTestFinished(() => void command("losetup", "--detach", device));
  return device;
}

/** A file system in memory of a few bytes, for one test. */
export function tinyFileSystem(bytes: number): string {
  requireRoot("a small tmpfs (mount)");
  const directory = temporaryDirectory();
  command("mount", "-t", "tmpfs", "-o", `size=${bytes}`, "qdb-test", directory);
  onTestFinished(() => void command("umount", directory));
  return directory;
}

/** A file system whose files have times in whole seconds, for one test: ext4 with inodes of the size that ext3 had. */
export function coarseFileSystem(): string {
  requireRoot("a file system of its own (mount)");
  const directory = temporaryDirectory();
  const [image, place] = [join(directory, "image"), join(directory, "mounted")];
  command("truncate", "--size=8M", image);
  command("mkfs.ext4", "-q", "-I", "128", image);
  mkdirSync(place);
  command("mount", "-o", "loop", image, place);
  onTestFinished(() => void command("umount", place));
  return place;
}

/** Does something as a user whom permissions bind. */
export async function asOrdinaryUser<T>(call: () => T | Promise<T>): Promise<T> {
  if (process.getuid?.() !== 0) return call();
  process.seteuid?.(65534);
  try {
    return await call();
  } finally {
    process.seteuid?.(0);
  }
}

/** A directory in which an ordinary user may look but not write. */
export function readOnlyDirectory(): string {
  const directory = temporaryDirectory();
  chmodSync(directory, 0o555);
  onTestFinished(() => chmodSync(directory, 0o755));
  return directory;
}

/** A pipe. */
export function pipe(): string {
  const path = join(temporaryDirectory(), "pipe");
  command("mkfifo", path);
  return path;
}
