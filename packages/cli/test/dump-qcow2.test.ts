// `qdb dump` of qcow2 images: a form of its own. What the header says is read by the qcow2 document alone, in Python.
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { validator } from "../../conformance/test/support/schema.ts";
import { expectRefused, qdb, qdbFails, runQdb, temporaryDirectory } from "./built.ts";
import { dirtyRanges, makeRandomImage, nbdinfoMap, requirePeers, runPeer, seededRandom } from "./peers.ts";
import { bitsOf, smallImage } from "./qcow2-images.ts";

const directory = temporaryDirectory();
beforeAll(() => requirePeers("qemu-img", "qemu-io", "qemu-nbd", "nbdinfo", "python3"));

interface Dump {
  readonly header: Readonly<Record<string, unknown>>;
  readonly extensions: readonly Readonly<Record<string, unknown>>[];
  readonly bitmaps: readonly (Readonly<Record<string, unknown>> & { readonly error?: { readonly code: string } })[];
}

/** A dump as JSON, which its schema allows. */
function parsed(text: string): Dump {
  const document = JSON.parse(text);
  const validate = validator("qcow2");
  expect(validate(document), JSON.stringify(validate.errors)).toBe(true);
  return document;
}

/** Prints header, extensions and directory entries of an image, each as a list of numbers. */
const READ_IMAGE = `
import json, struct, sys
data = open(sys.argv[1], 'rb').read()
header = struct.unpack('>IIQIIQIIQQIIQQQQII', data[:104])
extensions, entries = [], []
at = header[17]
while struct.unpack('>I', data[at:at+4])[0] != 0:
    kind, length = struct.unpack('>II', data[at:at+8])
    extensions.append([kind, data[at+8:at+8+length].hex()])
    if kind == 0x23852875:
        count, _, size, entry = struct.unpack('>IIQQ', data[at+8:at+32])
        for _ in range(count):
            fields = struct.unpack('>QIIBBHI', data[entry:entry+24])
            name, extra = fields[5], fields[6]
            table = [struct.unpack('>Q', data[fields[0]+8*i:fields[0]+8*i+8])[0] for i in range(fields[1])]
            kinds = [sum(1 for e in table if e > 1), table.count(0), table.count(1)]
            entries.append(list(fields) + [data[entry+24+extra:entry+24+extra+name].decode()] + kinds)
            entry += (24 + extra + name + 7) // 8 * 8
    at += 8 + (length + 7) // 8 * 8
print(json.dumps([[str(n) for n in header], data[104:header[17]].hex(), extensions, [[str(n) for n in e] for e in entries]]))`;

const HEADER = [
  "magic",
  "version",
  "backing_file_offset",
  "backing_file_size",
  "cluster_bits",
  "size",
  "crypt_method",
  "l1_size",
  "l1_table_offset",
  "refcount_table_offset",
  "refcount_table_clusters",
  "nb_snapshots",
  "snapshots_offset",
  "incompatible_features",
  "compatible_features",
  "autoclear_features",
  "refcount_order",
  "header_length",
];

describe("random images", () => {
  test.each(Array.from({ length: 12 }, (_, at) => 3000 + at))(
    "seed %i: everything is what it is in the file",
    (seed) => {
      const folder = join(directory, `seed-${seed}`);
      mkdirSync(folder);
      const { path, size, bitmaps } = makeRandomImage(folder, seededRandom(seed));
      const { header, extensions, bitmaps: dumped } = parsed(qdb("dump", path));
      const [fields, rest, types, entries] = JSON.parse(runPeer("python3", ["-c", READ_IMAGE, path]));
      const { additional_fields: additional, ...known } = header;
      const decimal = Object.fromEntries(
        Object.entries(known).map(([key, value]) => [key, `${BigInt(value as string)}`]),
      );
      expect(decimal).toEqual(
        Object.fromEntries(HEADER.map((key, at) => [key, fields[at]] as const).filter(([key]) => key !== "magic")),
      );
      expect(additional ?? "").toBe(rest);
      expect(extensions.map(({ type }) => Number(type))).toEqual(types.map(([type]: [number]) => type));
      for (const [at, { type, data }] of extensions.entries()) {
        if (data !== undefined) expect([Number(type), data]).toEqual(types[at]);
      }
      expect(
        dumped.map((bitmap) =>
          [
            bitmap.bitmap_table_offset,
            bitmap.bitmap_table_size,
            (bitmap.flags as string[]).includes("auto") ? 2 : 0,
            bitmap.type,
            bitmap.granularity_bits,
            Buffer.byteLength(bitmap.name as string),
            bitmap.extra_data_size,
            bitmap.name,
            ...Object.values(bitmap.bitmap_table as object),
          ].map(String),
        ),
      ).toEqual(entries);
      for (const { name, granularity } of bitmaps) {
        const extents = nbdinfoMap(path, name);
        const own = dumped.find((bitmap) => bitmap.name === name);
        const dirty = dirtyRanges(extents);
        expect(own).toMatchObject({
          dirty: dirty.map((range) => range.map(String)),
          dirty_bytes: `${dirty.reduce((sum, [, length]) => sum + length, 0)}`,
          bits_sha256: createHash("sha256")
            .update(bitsOf(extents, size, granularity))
            .digest("hex"),
        });
      }
    },
  );
});

test("extensions that nobody knows, and feature names, are there", () => {
  const path = join(directory, "extensions.qcow2");
  runPeer("qemu-img", ["create", "-q", "-f", "qcow2", "-o", `data_file=${path}.raw`, path, "1M"]);
  const bytes = readFileSync(path);
  // The external data file's name becomes an extension of another type.
  const at = bytes.indexOf(Buffer.from("44415441", "hex"));
  bytes.writeUInt32BE(0x0badcafe, at);
  bytes.writeBigUInt64BE(0n, 72);
  writeFileSync(path, bytes);
  const { extensions } = parsed(qdb("dump", path));
  expect(extensions).toEqual([
    { type: "0x0badcafe", data: Buffer.from(`${path}.raw`).toString("hex") },
    {
      type: "0x6803f857",
      features: expect.arrayContaining([{ kind: "incompatible", bit: 4, name: "extended L2 entries" }]),
    },
  ]);
});

test("an image of version 2 has no extensions that are read, and no fields that it has not", () => {
  const path = join(directory, "old.qcow2");
  runPeer("qemu-img", ["create", "-q", "-f", "qcow2", "-o", "compat=0.10", path, "1M"]);
  const { header, bitmaps } = parsed(qdb("dump", path));
  expect(Object.keys(header)).toEqual(HEADER.slice(1, 13));
  expect(bitmaps).toEqual([]);
});

test("bitmaps whose bits cannot be used have their error, the others their bits; exit 1", () => {
  const path = smallImage(directory, "broken.qcow2", (image) =>
    image
      .entry("fine", { flags: 3 })
      .entry("coarse", { type: 7, granularityBits: 200, nameSize: 4, extraDataSize: 2 })
      .rename("coarse", [0xca, 0xfe]),
  );
  const ran = runQdb(["dump", path]);
  const line = expectRefused("INCONSISTENT", ["dump"], { ...ran, stdout: Buffer.alloc(0) });
  expect(line).toContain('2 bitmaps are dumped without bits, which cannot be used; the first is "fine"');
  const { bitmaps } = parsed(ran.stdout.toString());
  expect(
    bitmaps.map(({ name, flags, error, dirty, extra_data: extra }) => [name, flags, error?.code, dirty, extra]),
  ).toEqual([
    ["fine", ["in_use", "auto"], "INCONSISTENT", undefined, undefined],
    ["arse", ["auto"], "UNSUPPORTED_FEATURE", undefined, "cafe"],
    ["idle", [], undefined, [], undefined],
  ]);
  expect(bitmaps[1]).toMatchObject({ type: 7, granularity_bits: 200 });
});

test("bits_sha256 is left out where no cluster stores the bits, unless asked for", () => {
  const path = join(directory, "large.qcow2");
  runPeer("qemu-img", ["create", "-q", "-f", "qcow2", path, "128G"]);
  runPeer("qemu-img", ["bitmap", "--add", "-g", "512", path, "large"]);
  expect(parsed(qdb("dump", path)).bitmaps[0]).not.toHaveProperty("bits_sha256");
  const sha256 = createHash("sha256")
    .update(Buffer.alloc(2 ** 25))
    .digest("hex");
  expect(parsed(qdb("dump", "--all-digests", path)).bitmaps[0]).toMatchObject({ dirty: [], bits_sha256: sha256 });
});

test("load refuses the form, and says what to do", () => {
  const form = join(directory, "image.json");
  writeFileSync(form, qdb("dump", smallImage(directory, "form.qcow2")));
  expect(qdbFails("USAGE", ["load", form, join(directory, "loaded.qdb")])).toContain(
    "qdb import reads the image itself",
  );
});
