import { Bitmap } from "@qdb/format";
import { imageBytes, writeImage } from "@qdb/format/container";
import { describe, expect, it } from "vitest";
import { be, bits, FILE_ID, file, hex, join, named, rep, tlv, utf8, WRITER_ID } from "./hand.ts";

interface Posted {
  readonly names: string[];
  readonly extensions: { type: number; length: number }[];
}

/**
 * A reader of the text that was posted in November 2014, and of nothing else: the header's first 28 bytes, the extensions
 * behind header_length, and of a table entry bytes 26-27, 36-39 and what follows. It knows no rule that refuses a header_length.
 */
function read2014(disk: Uint8Array): Posted {
  const view = new DataView(disk.buffer, disk.byteOffset, disk.byteLength);
  const padded = (length: number) => Math.ceil(length / 8) * 8;
  // 0-3 magic, 4-7 version, 8-11 cluster_bits, 12-15 nb_bitmaps, 16-23 bitmaps_offset, 24-27 header_length
  if (view.getUint32(0) !== 0x51444200) throw new Error("bad magic");
  if (view.getUint32(4) !== 1) throw new Error("bad version");
  const clusterBits = view.getUint32(8);
  if (clusterBits < 9) throw new Error("bad cluster_bits");
  const nbBitmaps = view.getUint32(12);
  const bitmapsOffset = Number(view.getBigUint64(16));
  if (bitmapsOffset % 2 ** clusterBits !== 0) throw new Error("bitmaps_offset is not cluster aligned");
  const headerLength = view.getUint32(24);

  // Header extensions stand directly after the header: type, length, data, padding to a multiple of 8. Type 0 ends them.
  // Every type is unknown to this reader, can safely be ignored, and appears at most once.
  const extensions: Posted["extensions"] = [];
  let at = headerLength;
  for (;;) {
    const type = view.getUint32(at);
    if (type === 0) break;
    const length = view.getUint32(at + 4);
    if (extensions.some((other) => other.type === type)) throw new Error("extension appears twice");
    extensions.push({ type, length });
    at += 8 + padded(length);
    if (at > 2 ** clusterBits) throw new Error("extensions leave the first cluster");
  }

  // Bitmap table: contiguous entries of variable length.
  const names: string[] = [];
  at = bitmapsOffset;
  for (let bitmap = 0; bitmap < nbBitmaps; bitmap++) {
    const nameSize = view.getUint16(at + 26);
    const extraDataSize = view.getUint32(at + 36); // unknown fields must be ignored
    const nameAt = at + 40 + extraDataSize; // not null terminated
    names.push(new TextDecoder("utf-8", { fatal: true }).decode(disk.subarray(nameAt, nameAt + nameSize)));
    at += padded(40 + extraDataSize + nameSize);
  }
  return { names, extensions };
}

const END = rep(0, 8);
const FEATURE_NAMES = tlv(0x6803f857, named(hex("00 00"), "all-ones clusters"));
const bitmaps = [
  {
    name: "täglich",
    flags: 1,
    size: 300_000_000n,
    extra: join(tlv(1, utf8("drive0")), tlv(0xfeedbeef, hex("01 02 03"))),
    clusters: ["ones" as const, bits(100, 1, 2)],
  },
  { name: "weekly", size: 65536n * 5000n, clusters: ["zeros" as const, bits(100, 17)] },
  { name: "x", size: 0n },
];

describe("a reader of the text of 2014 alone", () => {
  it("is no longer than 60 lines", () => {
    expect(read2014.toString().split("\n").length).toBeLessThanOrEqual(60);
  });

  it("lists the names of a full file, and skips extensions and extra data that it does not know", () => {
    const bytes = file({
      header: { incompatible: 1n },
      extensions: join(FEATURE_NAMES, tlv(0x0badcafe, hex("aa bb cc")), END),
      bitmaps,
    });
    expect(read2014(bytes)).toEqual({
      names: ["täglich", "weekly", "x"],
      extensions: [
        { type: 0x6803f857, length: 48 },
        { type: 0x0badcafe, length: 3 },
      ],
    });
  });

  it("finds the extensions by header_length, whatever it is", () => {
    const bytes = file({ unknownHeader: rep(0xee, 24), extensions: join(tlv(9, hex("09")), END), bitmaps });
    expect(read2014(bytes).extensions).toEqual([{ type: 9, length: 1 }]);
    expect(read2014(bytes).names).toEqual(["täglich", "weekly", "x"]);
  });

  it("opens what the library writes, in both forms", () => {
    const bitmap = Bitmap.clean({ size: 10n ** 9n, granularity: 65536 });
    bitmap.mark({ offset: 5, length: 10 ** 8 });
    const contents = {
      clusterBits: 12,
      fileId: FILE_ID,
      writerId: WRITER_ID,
      extensions: [{ type: 0x0badcafe, data: hex("00ff") }],
      bitmaps: [
        { nameBytes: utf8("a"), flags: 1, extraData: [{ type: 1, data: utf8("drive0") }], bits: bitmap },
        { nameBytes: utf8("b"), flags: 0, extraData: [], bits: bitmap },
      ],
    };
    const full = imageBytes(writeImage({ ...contents, form: "full", allOnes: true }));
    expect(read2014(full)).toEqual({
      names: ["a", "b"],
      extensions: [
        { type: 0x6803f857, length: 48 },
        { type: 0x0badcafe, length: 2 },
      ],
    });
    const draft = imageBytes(writeImage({ ...contents, form: "draft", allOnes: false }));
    // "Directly after the header" is 28 to this reader: it sees type 0 there and stops, as the spec says.
    expect(read2014(draft)).toEqual({ names: ["a", "b"], extensions: [] });
    expect(draft.subarray(28, 36)).toEqual(join(be(0, 4), be(0x0badcafe, 4)));
  });
});
