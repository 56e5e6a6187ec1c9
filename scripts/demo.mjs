// The main job, shown to a newcomer: a real QEMU bitmap becomes a QDB file, and a bitmap brings a disk image up to date.
// `npm start` runs it after the build. What it says is checked: it ends with exit code 1 where something does not hold.
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { isDeepStrictEqual } from "node:util";

const root = fileURLToPath(new URL("..", import.meta.url));
const fixtures = join(root, "conformance", "fixtures", "qcow2");
const qdb = join(root, "node_modules", ".bin", "qdb");
const folder = mkdtempSync(join(tmpdir(), "qdb-demo-"));
// Ctrl+C too must leave nothing behind.
process.once("SIGINT", () => process.exit(130));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));

const MIB = 2 ** 20;

try {
  showBitmaps();
  updateImage();
} catch (error) {
  console.error(`\nThe demo failed: ${error.message}`);
  process.exitCode = 1;
}

function showBitmaps() {
  say("A dirty bitmap says which parts of a virtual disk changed. QEMU keeps such bitmaps inside qcow2 images.");
  say("vm.qcow2 is an image that QEMU made, with three bitmaps. Take them out, into a QDB file:");
  copyFileSync(join(fixtures, "bitmaps.qcow2"), join(folder, "vm.qcow2"));
  type("import", "vm.qcow2", "vm.qdb");
  say("The image is as it was; QEMU was not needed. What does the file say of itself?");
  type("info", "vm.qdb");
  say("One bitmap, as extents of the disk:");
  type("map", "vm.qdb", "daily");
  for (const name of ["daily", "weekly", "empty"]) compareWithNbdinfo(name);
  say("Is the file in order?");
  type("check", "vm.qdb");
  say("And a picture:");
  type("show", "vm.qdb", "daily");
}

/** The map in JSON, and what nbdinfo printed for the same bitmap when QEMU served it. */
function compareWithNbdinfo(name) {
  const { stdout } = run(["map", "--output=json", "vm.qdb", name], ["ignore", "pipe", "inherit"]);
  const expected = JSON.parse(readFileSync(join(fixtures, `${name}.map.json`), "utf8"));
  const equal = isDeepStrictEqual(JSON.parse(stdout), expected);
  must(equal, `the map of ${name} is not what nbdinfo printed`);
  const extents = expected.length === 1 ? "1 extent" : `${expected.length} extents`;
  console.log(`(${name}: equal to what nbdinfo printed: ${extents})`);
}

function updateImage() {
  say("Bitmaps also come from raw disk images. monday.img and tuesday.img are two states of one disk:");
  const [monday, tuesday] = makeImages();
  writeFileSync(join(folder, "monday.img"), monday);
  writeFileSync(join(folder, "tuesday.img"), tuesday);
  type("diff", "monday.img", "tuesday.img", "changes.qdb");
  type("show", "changes.qdb");
  say("backup.img is a copy of monday.img. Bring it up to date, by reading and writing nothing but what changed:");
  copyFileSync(join(folder, "monday.img"), join(folder, "backup.img"));
  type("copy", "changes.qdb", "diff", "tuesday.img", "backup.img");
  const equal = readFileSync(join(folder, "backup.img")).equals(readFileSync(join(folder, "tuesday.img")));
  must(equal, "backup.img is not tuesday.img");
  say("backup.img is now identical to tuesday.img, byte for byte. That was an incremental backup.");
  say("Next: npx @qdb/cli --help, with images of your own.");
}

/** A disk of 8 MiB and what a day made of it; always the same ones. */
function makeImages() {
  let state = 2014;
  const random = (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  const before = Buffer.alloc(8 * MIB);
  for (let at = 0; at < before.length; at += 4) before.writeUInt32LE(random(2 ** 32), at);
  const after = Buffer.from(before);
  for (let count = 0; count < 12; count++) {
    const start = random(after.length);
    after.fill(count, start, Math.min(after.length, start + 1 + random(128 * 1024)));
  }
  return [before, after];
}

function say(text) {
  console.log(`\n${text}`);
}

/** Shows a command as one would type it, and what it prints. */
function type(...args) {
  console.log(`\n  $ qdb ${args.join(" ")}`);
  run(args, ["ignore", "inherit", "inherit"]);
}

function run(args, stdio) {
  const result = spawnSync(qdb, args, { cwd: folder, stdio, encoding: "utf8" });
  if (result.error) throw result.error;
  must(result.status === 0, `qdb ${args[0]} ended with ${result.signal ?? `exit code ${result.status}`}`);
  return result;
}

function must(holds, message) {
  if (!holds) throw new Error(message);
}
