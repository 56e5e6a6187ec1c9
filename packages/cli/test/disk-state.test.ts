import {
  chmodSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { validator } from "../../conformance/test/support/schema.ts";
import { expectRefused, qdb, type Ran, runQdb, temporaryDirectory } from "./built.ts";
import { ordinaryUserIn } from "./ordinary-user.ts";
import { requirePeers, runPeer } from "./peers.ts";

const directory = temporaryDirectory();
const run = ordinaryUserIn(directory);
beforeAll(() => chmodSync(directory, 0o755));

/** A disk in a folder of its own, and a file with the bitmap `b` of it, both for anyone to use. */
function makeDisk(name: string): { readonly folder: string; readonly disk: string; readonly file: string } {
  const folder = join(directory, name);
  mkdirSync(folder);
  const disk = join(folder, "vm.raw");
  writeFileSync(disk, Buffer.alloc(2 ** 20));
  const file = join(directory, `${name}.qdb`);
  qdb("create", file);
  qdb("bitmap", "--add", "--disk", disk, file, "b");
  chmodSync(file, 0o666);
  return { folder, disk, file };
}

/** Ways for a disk to be there, or to have been, and not to be looked at; the words are the system's. */
const UNREADABLE: readonly (readonly [
  what: string,
  words: string,
  make: (disk: ReturnType<typeof makeDisk>) => void,
])[] = [
  ["a folder that the user may not search", "EACCES: permission denied", ({ folder }) => chmodSync(folder, 0o700)],
  [
    "a loop of links",
    "ELOOP: too many symbolic links encountered",
    ({ disk }) => {
      rmSync(disk);
      symlinkSync(disk, disk);
    },
  ],
  [
    "a file in the place of its folder",
    "ENOTDIR: not a directory",
    ({ folder }) => {
      renameSync(folder, `${folder}.away`);
      writeFileSync(folder, "");
    },
  ],
];

describe.each(UNREADABLE)("a disk behind %s", (_, words, make) => {
  let disk: ReturnType<typeof makeDisk>;
  beforeAll(() => {
    disk = makeDisk(words.slice(0, words.indexOf(":")));
    utimesSync(disk.disk, 1, 1);
    make(disk);
  });

  test("is not taken for an unchanged one: who uses the bits gets IO and the system's words", () => {
    const { file, disk: path } = disk;
    const other = `${file}.other`;
    qdb("create", other);
    qdb("bitmap", "--add", "--size", "1M", other, "b");
    chmodSync(other, 0o666);
    const before = [readFileSync(file), readFileSync(other)];
    const refused = [
      ["map", file, "b"],
      ["map", "--output=human", "--max-length=0", file, "b"],
      ["export", "--to", "extents", "-B", "b", file],
      ["export", "--to", "raw-bits", "-B", "b", file],
      ...["--merge", "--intersect", "--subtract", "--xor"].map((action) => [
        "bitmap",
        action,
        "b",
        "-b",
        file,
        other,
        "b",
      ]),
      ["bitmap", "--merge", "b", file, "b"],
    ];
    for (const args of refused) {
      const line = expectRefused("IO", args, run(args));
      expect(line).toContain(`"${path}"`);
      expect(line).toContain(words);
      expect(line).toContain("--ignore-disk-change");
    }
    expect([readFileSync(file), readFileSync(other)]).toEqual(before);
    const insisted = run(["map", "--ignore-disk-change", file, "b"]);
    expect([insisted.status, insisted.stderr]).toEqual([0, ""]);
  });

  test("is a state of its own to info, and show says so", () => {
    const { file, disk: path } = disk;
    const said = `cannot look at "${path}": ${words}`;
    const facts = JSON.parse(printed(run(["info", "--output=json", file])));
    expect(validator("info")(facts)).toBe(true);
    expect(facts.bitmaps[0]).toMatchObject({ disk_state: "unreadable", disk_error: { code: "IO", message: said } });
    expect(facts.bitmaps[0]).not.toHaveProperty("changed_since");
    const text = printed(run(["info", file]));
    expect(text.split("\n")).toContain(`        changed since: unknown, ${said}`);
    for (const args of [
      ["show", "--ascii", file],
      ["show", "--ascii", file, "b"],
    ]) {
      expect(printed(run(args)).split("\n")).toContain(`changed since: unknown, ${said}`);
    }
    const svg = printed(run(["show", "--svg", "-", file]));
    expect(svg).toContain(`changed since: unknown, ${said.replaceAll('"', "&quot;")}`);
  });
});

function printed({ status, stdout, stderr }: Ran): string {
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  return stdout.toString("utf8");
}

test("a disk that is not there is unknown, by whatever part of its path", () => {
  const { folder, disk, file } = makeDisk("missing");
  const remove = [
    () => rmSync(disk),
    () => symlinkSync(join(folder, "none"), disk),
    () => rmSync(folder, { recursive: true }),
  ];
  for (const step of remove) {
    step();
    expect(run(["map", file, "b"]).status).toBe(0);
    const facts = JSON.parse(printed(run(["info", "--output=json", file])));
    expect(facts.bitmaps[0]).toMatchObject({ disk_state: "missing" });
    expect(facts.bitmaps[0]).not.toHaveProperty("changed_since");
    expect(printed(run(["info", file]))).toContain("changed since: unknown, the disk was not found\n");
  }
});

test("a disk that changed is said by show too, which draws it all the same", () => {
  const { disk, file } = makeDisk("changed");
  expect(printed(run(["show", "--ascii", file]))).not.toContain("changed since");
  utimesSync(disk, 1, 1);
  const said = "changed since: yes, the disk is another one or was changed";
  expect(printed(run(["show", "--ascii", file])).split("\n")).toContain(said);
  expect(printed(run(["show", "--svg", "-", file]))).toContain(said);
  expect(runQdb(["map", file, "b"]).status).toBe(1);
});

test("a block device: its changes go unseen, and info says so", () => {
  requirePeers("losetup");
  const { disk, file } = makeDisk("device");
  const device = runPeer("losetup", ["--find", "--show", disk]).trim();
  onTestFinished(() => void runPeer("losetup", ["--detach", device]));
  qdb("bitmap", "--add", "--disk", device, file, "d");
  writeFileSync(device, Buffer.alloc(2 ** 20, 1));
  const facts = JSON.parse(qdb("info", "--output=json", file));
  expect(validator("info")(facts)).toBe(true);
  expect(facts.bitmaps[1]).toMatchObject({ name: "d", disk: device, disk_state: "same length" });
  expect(facts.bitmaps[1]).not.toHaveProperty("changed_since");
  const said =
    "changed since: unknown, only the length of a block device is compared: changes of its content go unseen";
  expect(qdb("info", file).split("\n")).toContain(`        ${said}`);
  qdb("map", file, "d");
  for (const command of ["bitmap", "import", "diff"]) {
    expect(qdb(command, "--help").replaceAll(/\s+/g, " ")).toContain("changes of its content go unseen");
  }
});
