// What QEMU says of the bitmaps of an image: its own digest of the bits, and its lists.
import { execFileSync } from "node:child_process";
import { runPeer } from "../../cli/test/peers.ts";

/** A bitmap as `qemu-img info` lists it. */
export interface ListedBitmap {
  readonly name: string;
  readonly granularity: number;
  readonly flags: readonly string[];
}

/** Returns the bitmaps of an image as `qemu-img info` lists them, by name. */
export function listBitmaps(path: string): ListedBitmap[] {
  const info = JSON.parse(runPeer("qemu-img", ["info", "--output=json", path])) as {
    "format-specific": { data: { bitmaps?: ListedBitmap[] } };
  };
  const bitmaps = info["format-specific"].data.bitmaps ?? [];
  return bitmaps.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/**
 * Returns QEMU's SHA-256 of the bits of bitmaps: LSB-first bytes, padded with zeros to a multiple of 8. The image is opened for reading
 * only, so that QEMU does not store its bitmaps again.
 */
export function qemuDigests(path: string, names: readonly string[]): string[] {
  const commands = [
    { execute: "qmp_capabilities" },
    ...names.map((name) => ({ execute: "x-debug-block-dirty-bitmap-sha256", arguments: { node: "image", name } })),
    { execute: "quit" },
  ];
  const image = `driver=qcow2,node-name=image,read-only=on,file.driver=file,file.filename=${path},file.locking=off`;
  const answers = execFileSync(
    "qemu-storage-daemon",
    ["--blockdev", image, "--chardev", "stdio,id=qmp", "--monitor", "chardev=qmp"],
    { input: commands.map((command) => JSON.stringify(command)).join("\n"), encoding: "utf8", stdio: "pipe" },
  );
  const results = answers.split("\n").flatMap((line) => {
    if (line.trim() === "") return [];
    const answer = JSON.parse(line) as { return?: { sha256?: string }; error?: { desc: string } };
    if (answer.error !== undefined) throw new Error(answer.error.desc);
    return answer.return?.sha256 === undefined ? [] : [answer.return.sha256];
  });
  if (results.length !== names.length) throw new Error(`${names.length} digests were asked for: ${answers}`);
  return results;
}

/** What `qemu-img check` says: its exit code and output. 0: no errors, 2: corruptions, 3: leaks only. */
export function checkImage(path: string): { readonly code: number; readonly text: string } {
  try {
    return { code: 0, text: execFileSync("qemu-img", ["check", path], { encoding: "utf8", stdio: "pipe" }) };
  } catch (error) {
    const { status, stdout, stderr } = error as { status: number | null; stdout: string; stderr: string };
    return { code: status ?? -1, text: `${stdout}${stderr}` };
  }
}
