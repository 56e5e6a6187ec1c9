// `qdb check` of qcow2 images: every finding about their bitmaps.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { validator } from "../../conformance/test/support/schema.ts";
import type { Patchable } from "../../qcow2/test/small-image.ts";
import { qdb, qdbFails, runQdb, temporaryDirectory } from "./built.ts";
import { makeRandomImage, requirePeers, runPeer, seededRandom } from "./peers.ts";
import { smallImage } from "./qcow2-images.ts";

const directory = temporaryDirectory();
beforeAll(() => requirePeers("qemu-img", "qemu-io", "python3"));

interface Checked {
  readonly status: number | null;
  readonly findings: readonly { readonly code: string; readonly severity: string; readonly where: object }[];
  readonly counts: Readonly<Record<string, number>>;
  readonly clean: boolean;
  readonly complete: boolean;
}

/** Checks an image in both forms, which must say the same. */
function check(path: string): Checked {
  const human = runQdb(["check", path]);
  const json = runQdb(["check", "--output=json", path]);
  const document = JSON.parse(json.stdout.toString());
  const validate = validator("check");
  expect(validate(document), JSON.stringify(validate.errors)).toBe(true);
  expect({ status: json.status, stderr: json.stderr }).toEqual({ status: human.status, stderr: "" });
  const lines = human.stdout.toString().trimEnd().split("\n");
  expect(lines.at(-1)).toBe("Only what concerns bitmaps was looked at; qemu-img check does the rest.");
  const found = lines.filter((line) => /^(corrupt|unsafe|leak|noncanonical|info): \[/.test(line));
  expect(found.map((line) => line.split("] ")[0])).toEqual(
    document.findings.map(({ severity, code }: Checked["findings"][number]) => `${severity}: [${code}`),
  );
  expect(document.findings.some(({ repairable }: { repairable: boolean }) => repairable)).toBe(false);
  return { status: human.status, ...document };
}

/** What a check says, briefly: code and place of each finding. */
const brief = ({ status, findings, complete }: Checked): unknown[] => [
  status,
  complete,
  ...findings.map(({ code, severity, where }) => [`${severity} ${code}`, where]),
];

let count = 0;
function broken(change: (image: Patchable) => unknown): Checked {
  return check(smallImage(directory, `${count++}.qcow2`, change));
}

test.each(Array.from({ length: 8 }, (_, at) => 2000 + at))("seed %i: what QEMU makes has no finding", (seed) => {
  const { path } = makeRandomImage(directory, seededRandom(seed), { name: `seed-${seed}.qcow2` });
  runPeer("qemu-img", ["check", "-q", path]);
  expect(brief(check(path))).toEqual([0, true]);
});

describe("exit codes are those of a QDB file", () => {
  test("a good image, and one without bitmaps", () => {
    const path = smallImage(directory, "good.qcow2");
    expect(check(path)).toMatchObject({ status: 0, clean: true, complete: true, findings: [] });
    expect(qdb("check", path).split("\n")[0]).toBe(`No errors were found in ${JSON.stringify(path)}.`);
    const empty = join(directory, "empty.qcow2");
    runPeer("qemu-img", ["create", "-q", "-f", "qcow2", empty, "1M"]);
    expect(check(empty).status).toBe(0);
  });

  test("bits that cannot be trusted: 2, unsafe", () => {
    expect(brief(broken((image) => image.entry("coarse", { flags: 3 })))).toEqual([
      2,
      true,
      ["unsafe INCONSISTENT", expect.objectContaining({ bitmap: "coarse", field: "flags" })],
    ]);
    const unkept = broken((image) => image.header({ autoclearFeatures: 0n }));
    expect(unkept.findings.map(({ severity, code }) => `${severity} ${code}`)).toEqual(
      Array.from({ length: 3 }, () => "unsafe INCONSISTENT"),
    );
    for (const change of [{ flags: 4 }, { type: 2 }, { nameSize: 3, extraDataSize: 1 }])
      expect(broken((image) => image.entry("fine", change)).findings).toMatchObject([
        { severity: "unsafe", code: "UNSUPPORTED_FEATURE" },
      ]);
  });

  test("ones after the last bit: 0, noncanonical", () => {
    const path = smallImage(directory, "tail.qcow2", (image) => {
      const offset = Number(image.readTableEntry("coarse", 0));
      image.bytes[offset + 511] = 0x80;
    });
    const offset = Number(runPeer("python3", ["-c", READ_ENTRY, path, "coarse"]));
    expect(brief(check(path))).toEqual([
      0,
      true,
      ["noncanonical TAIL", { structure: "data cluster", offset, bitmap: "coarse" }],
    ]);
  });

  test("what cannot be checked: 1", () => {
    qdbFails("UNSUPPORTED_VERSION", [
      "check",
      smallImage(directory, "v4.qcow2", (image) => image.header({ version: 4 })),
    ]);
    const feature = smallImage(directory, "feature.qcow2", (image) =>
      image.header({ incompatibleFeatures: 1n << 40n }),
    );
    qdbFails("UNSUPPORTED_FEATURE", ["check", feature]);
  });
});

/** Prints the first entry of the table of a bitmap, read by the qcow2 document alone. */
const READ_ENTRY = `
import struct, sys
data = open(sys.argv[1], 'rb').read()
at = struct.unpack('>I', data[100:104])[0]
while struct.unpack('>I', data[at:at+4])[0] != 0x23852875: at += 8 + (struct.unpack('>I', data[at+4:at+8])[0] + 7) // 8 * 8
count, _, size, entry = struct.unpack('>IIQQ', data[at+8:at+32])
for _ in range(count):
    table, _, _, _, _, name, extra = struct.unpack('>QIIBBHI', data[entry:entry+24])
    if data[entry+24+extra:entry+24+extra+name].decode() == sys.argv[2]: print(struct.unpack('>Q', data[table:table+8])[0])
    entry += (24 + extra + name + 7) // 8 * 8`;

describe("every finding is listed", () => {
  test("of one directory entry", () => {
    const change = { flags: 0x80000003, type: 0, granularityBits: 8 };
    const { findings } = broken((image) => image.entry("fine", change));
    expect(findings.map(({ code, where }) => [code, (where as { field: string }).field])).toEqual([
      ["UNSUPPORTED_FEATURE", "type"],
      ["BAD_FIELD", "granularity_bits"],
      ["UNSUPPORTED_FEATURE", "flags"],
      ["INCONSISTENT", "flags"],
    ]);
  });

  test("of the entries of a table, and of every bitmap", () => {
    const found = broken((image) =>
      image
        .tableEntry("fine", 0, 2n)
        .tableEntry("fine", 1, image.readTableEntry("coarse", 0))
        .tableEntry("fine", 2, 1n << 40n)
        .tableEntry("fine", 3, image.readTableEntry("fine", 3) + 512n * 1024n)
        .entry("idle", { bitmapTableOffset: 77n }),
    );
    expect(found.status).toBe(2);
    expect(
      found.findings.map(({ code, severity, where }) => [severity, code, (where as { bitmap: string }).bitmap]),
    ).toEqual([
      ["corrupt", "RESERVED_NOT_ZERO", "fine"],
      ["corrupt", "OVERLAP", "fine"],
      ["corrupt", "OUT_OF_BOUNDS", "fine"],
      ["corrupt", "OUT_OF_BOUNDS", "fine"],
      ["corrupt", "OVERLAP", "coarse"],
      ["corrupt", "MISALIGNED", "idle"],
    ]);
    expect(found.counts).toMatchObject({ corrupt: 6, unsafe: 0 });
  });

  test("of what keeps the bitmaps from being found: the check is not complete", () => {
    expect(brief(broken((image) => image.extension({ reserved: 1 })))).toEqual([
      2,
      false,
      ["corrupt RESERVED_NOT_ZERO", expect.objectContaining({ structure: "bitmaps extension", field: "reserved" })],
    ]);
    expect(brief(broken((image) => image.header({ clusterBits: 30 })))).toEqual([
      2,
      false,
      ["corrupt BAD_FIELD", { structure: "qcow2 header", field: "cluster_bits", offset: 20 }],
    ]);
  });

  test("of structures that cannot be looked at, so that nobody knows who owns which cluster", () => {
    const found = broken((image) => image.header({ refcountTableOffset: 1n << 40n }));
    expect(found).toMatchObject({ status: 2, complete: false, counts: { corrupt: 3 } });
    expect(found.findings.map(({ code }) => code)).toEqual(["OUT_OF_BOUNDS", "OUT_OF_BOUNDS", "OUT_OF_BOUNDS"]);
  });
});

test("-r is refused, says what to do, and changes nothing", () => {
  const path = smallImage(directory, "repair.qcow2", (image) => image.entry("fine", { flags: 3 }));
  const before = readFileSync(path);
  const line = qdbFails("NOT_SUPPORTED", ["check", "-r", path]);
  for (const advice of ["qemu-img check -r", "qdb bitmap --mark-all", "--remove"]) expect(line).toContain(advice);
  expect(readFileSync(path).equals(before)).toBe(true);
});
