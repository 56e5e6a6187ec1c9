// Command lines to be tried with faults, the files that they begin with, and what the files are when they are done: said by
// the plain model, or by hand.
import { readFileSync } from "node:fs";
import { crc32 } from "node:zlib";
import type { ModelAction } from "../bitmap-model.ts";
import { dirtyOf } from "../bitmap-model.ts";
import { dirtyRanges, type NbdExtent } from "../peers.ts";
import {
  after,
  BITMAPS,
  bytesOfBits,
  CLUSTER,
  digest,
  type Form,
  fileOf,
  flipped,
  GRANULARITY,
  SIZE,
  SOURCES,
  USABLE,
  withCluster,
} from "./files.ts";
import { type BitmapState, type CommentedBitmap, type FileState, type FolderState, stateOfModel } from "./reader.ts";

/** A command line on files of a folder. */
export interface Case {
  readonly name: string;
  /** The files that it begins with. */
  readonly files: Readonly<Record<string, Uint8Array>>;
  /** `file` gives the path of a name in the folder. */
  readonly args: (file: (name: string) => string) => readonly string[];
  /** The files that are another after it; those that are not there before are made. */
  readonly changes: FolderState;
  /** Where standard output goes to, a file of the folder. */
  readonly stdout?: string;
  /** Whether it prints findings, and ends with 2 where some are left. */
  readonly reports?: boolean;
  /** Whether a file may be something in between, after a failure: gives what is wrong with it. */
  readonly between?: (bytes: Uint8Array) => string | undefined;
  /** The file that `between` is about. */
  readonly partial?: string;
}

const FILE = "file.qdb";

/** Bitmaps changed in place: of `qdb bitmap` with options that are actions of the model. */
function edits(
  options: readonly string[],
  actions: readonly ModelAction[],
  { on = "daily", title, form }: { on?: string; title?: string; form?: Form } = {},
): Case {
  return {
    name: title ?? `bitmap ${options.join(" ")}`,
    files: { [FILE]: fileOf(BITMAPS, form), "source.qdb": fileOf(SOURCES) },
    args: (file) => [
      "bitmap",
      ...options.map((option) => (option === "source.qdb" ? file(option) : option)),
      ...[file(FILE), on],
    ],
    changes: { [FILE]: stateOfModel(after(actions, on, { others: options.includes("-b") ? SOURCES : BITMAPS })) },
  };
}

const ACTIONS: readonly Case[] = [
  edits(["--add", "--size", `${SIZE}`], [["add"]], { on: "new" }),
  edits(["--remove"], [["remove"]]),
  edits(["--clear"], [["clear"]], { on: "bystander" }),
  edits(["--enable"], [["enable"]], { on: "other" }),
  edits(["--disable"], [["disable"]]),
  edits(["--merge", "other"], [["merge", "other"]]),
  edits(["--merge", "source", "-b", "source.qdb"], [["merge", "source"]]),
  edits(["--intersect", "other"], [["intersect", "other"]]),
  edits(["--subtract", "other"], [["subtract", "other"]]),
  edits(["--xor", "other"], [["xor", "other"]]),
  edits(["--invert"], [["invert"]]),
  edits(["--mark", "3M+1M"], [["mark", `${3 * 2 ** 20}+${2 ** 20}`]]),
  edits(["--unmark", "6M+1M"], [["unmark", `${6 * 2 ** 20}+${2 ** 20}`]]),
  edits(["--mark-all"], [["mark-all"]], { on: "in use" }),
  edits(["--rename", "weekly"], [["rename", "weekly"]]),
  edits(["--resize", "20M"], [["resize", `${2 * SIZE}`]]),
  edits(["--resize", "5M"], [["resize", `${SIZE / 2}`]]),
  edits(["--resize", "20M", "--new-area=clean"], [["resize-clean", `${2 * SIZE}`]]),
  edits(["--regranulate", "4K"], [["regranulate", "4096"]]),
  edits(["--freeze", "collects"], [["freeze", "collects"]]),
  edits(["--release=done"], [["release", "done"]], { on: "frozen" }),
  edits(["--release=failed"], [["release", "failed"]], { on: "frozen" }),
  edits(["--merge", "other", "--disable", "--rename", "both"], [["merge", "other"], ["disable"], ["rename", "both"]]),
  edits(["--merge", "other"], [["merge", "other"]], { title: "bitmap, clusters of 4096", form: { clusterBits: 12 } }),
  edits(["--mark", "3M+1M"], [["mark", `${3 * 2 ** 20}+${2 ** 20}`]], {
    title: "bitmap of a draft",
    form: { draft: true },
  }),
  edits(["--freeze", "collects"], [["freeze", "collects"]], { title: "bitmap of a draft, two", form: { draft: true } }),
];

/** A disk, and the same disk later. */
const BASE = Buffer.alloc(SIZE / 4, "a disk with something on it. ");
const CURRENT = Buffer.from(BASE);
CURRENT.fill("changed", 700_000, 700_100).fill(0, 1_500_000, 1_700_000);

/** The granules in which two disks differ. */
function differing(before: Uint8Array, now: Uint8Array, granularity: number): boolean[] {
  return Array.from({ length: Math.ceil(now.length / granularity) }, (_, at) => {
    const [start, end] = [at * granularity, (at + 1) * granularity];
    return Buffer.compare(before.subarray(start, end), now.subarray(start, end)) !== 0;
  });
}

const DIFFERENT: CommentedBitmap = {
  name: "diff",
  size: CURRENT.length,
  granularity: 4096,
  bits: differing(BASE, CURRENT, 4096),
  isEnabled: false,
  isInUse: false,
  point: 0,
};
const IMPORTED = SOURCES[0] as CommentedBitmap;

/** The extents of a bitmap, which cover the disk. */
function extentsOf(bitmap: CommentedBitmap): { offset: number; length: number; dirty: boolean }[] {
  const extents: { offset: number; length: number; dirty: boolean }[] = [];
  let end = 0;
  for (const [offset, length] of dirtyOf(bitmap).map((range) => range.map(Number) as [number, number])) {
    if (offset > end) extents.push({ offset: end, length: offset - end, dirty: false });
    extents.push({ offset, length, dirty: true });
    end = offset + length;
  }
  if (end < bitmap.size) extents.push({ offset: end, length: bitmap.size - end, dirty: false });
  return extents;
}

/** What nbdinfo --json prints of a bitmap. */
function extentsText(bitmap: CommentedBitmap): string {
  const lines = extentsOf(bitmap).map(({ offset, length, dirty }) => {
    const type = dirty ? '1, "description": "dirty"' : '0, "description": "clean"';
    return `{ "offset": ${offset}, "length": ${length}, "type": ${type}}`;
  });
  return `[\n${lines.join(",\n")}\n]\n`;
}

/** What nbdinfo prints of a bitmap for people. */
function tableText(bitmap: CommentedBitmap): string {
  const pad = (value: number): string => `${value}`.padStart(10);
  const lines = extentsOf(bitmap).map(({ offset, length, dirty }) => {
    return `${pad(offset)}  ${pad(length)}    ${dirty ? "1  dirty" : "0  clean"}\n`;
  });
  return lines.join("");
}

const DAILY = BITMAPS[0] as CommentedBitmap;
const RAW_BITS = bytesOfBits(IMPORTED.bits);
const EXTENTS = Buffer.from(extentsText(IMPORTED));
const GOOD = fileOf(BITMAPS);

/** The JSON form of bitmaps, as a user would write it. */
function formOf(bitmaps: readonly CommentedBitmap[], form: "full" | "draft"): Uint8Array {
  const document = {
    format: "qdb",
    header: { form, version: 1, cluster_bits: 9, incompatible_features: "0x0000000000000001" },
    bitmaps: stateOfModel(bitmaps).map(({ comment, successor, ...bitmap }) => ({
      ...bitmap,
      extra_data: [
        ...(comment === undefined ? [] : [{ type: "0x00000006", comment }]),
        ...(successor === undefined ? [] : [{ type: "0x00000008", successor }]),
      ],
    })),
  };
  return Buffer.from(JSON.stringify(document));
}

const raw = ["--from=raw-bits", `-g${GRANULARITY}`, `--size=${SIZE}`];

/** The committed image, and what nbdinfo says of its bitmaps. */
const FIXTURE = new URL("../../../../conformance/fixtures/qcow2/", import.meta.url);
const IMAGE = readFileSync(new URL("bitmaps.qcow2", FIXTURE));

/** What nbdinfo prints of the bitmap weekly. */
const WEEKLY_MAP = readFileSync(new URL("weekly.map.json", FIXTURE));

function fixtureBitmap(name: string, granularity: number, isEnabled: boolean): BitmapState {
  const map: NbdExtent[] = JSON.parse(readFileSync(new URL(`${name}.map.json`, FIXTURE), "utf8"));
  const dirty = dirtyRanges(map).map(([offset, length]) => [`${offset}`, `${length}`] as const);
  return { name, size: "16764416", granularity, flags: isEnabled ? ["enabled"] : [], dirty };
}

const FROM_IMAGE = [
  fixtureBitmap("weekly", 4096, false),
  fixtureBitmap("daily", 65536, true),
  fixtureBitmap("empty", 65536, true),
];

const MAKERS: readonly Case[] = [
  { name: "create", files: {}, args: (file) => ["create", file(FILE)], changes: { [FILE]: [] } },
  {
    name: "import into a new file",
    files: { bits: RAW_BITS },
    args: (file) => ["import", ...raw, "-B", "source", file("bits"), file(FILE)],
    changes: { [FILE]: stateOfModel([IMPORTED]) },
  },
  {
    name: "import, one more bitmap",
    files: { "map.json": EXTENTS, [FILE]: GOOD },
    args: (file) => ["import", "--from=extents", "-g512", "-B", "source", file("map.json"), file(FILE)],
    changes: { [FILE]: stateOfModel([...BITMAPS, IMPORTED]) },
  },
  {
    name: "import --merge",
    files: { bits: RAW_BITS, [FILE]: GOOD },
    args: (file) => ["import", "--merge", ...raw, "-B", "daily", file("bits"), file(FILE)],
    changes: { [FILE]: stateOfModel(after([["merge", "source"]], "daily", { others: SOURCES })) },
  },
  {
    name: "import --replace",
    files: { bits: RAW_BITS, [FILE]: GOOD },
    args: (file) => ["import", "--replace", ...raw, "-B", "other", file("bits"), file(FILE)],
    changes: {
      [FILE]: stateOfModel(BITMAPS.map((one) => (one.name === "other" ? { ...IMPORTED, name: "other" } : one))),
    },
  },
  {
    name: "import of a qcow2 image",
    files: { "image.qcow2": IMAGE },
    args: (file) => ["import", file("image.qcow2"), file(FILE)],
    changes: { [FILE]: FROM_IMAGE },
  },
  {
    name: "diff into a new file",
    files: { base: BASE, current: CURRENT },
    args: (file) => ["diff", "-g4K", file("base"), file("current"), file(FILE)],
    changes: { [FILE]: stateOfModel([DIFFERENT]) },
  },
  {
    name: "diff, one more bitmap",
    files: { base: BASE, current: CURRENT, [FILE]: GOOD },
    args: (file) => ["diff", "-g4K", file("base"), file("current"), file(FILE)],
    changes: { [FILE]: stateOfModel([...BITMAPS, DIFFERENT]) },
  },
  {
    name: "load",
    files: { "form.json": formOf(USABLE, "full") },
    args: (file) => ["load", file("form.json"), file(FILE)],
    changes: { [FILE]: stateOfModel(USABLE) },
  },
  {
    name: "load --draft",
    files: { "form.json": formOf(USABLE, "full") },
    args: (file) => ["load", "--draft", file("form.json"), file(FILE)],
    changes: { [FILE]: stateOfModel(USABLE) },
  },
  {
    name: "export to a file",
    files: { [FILE]: GOOD },
    args: (file) => ["export", "--to", "raw-bits", "-B", "daily", file(FILE), file("out")],
    changes: { out: digest(bytesOfBits(DAILY.bits)) },
  },
  {
    name: "export of a qcow2 image to a file",
    files: { "image.qcow2": IMAGE },
    args: (file) => ["export", "--to", "extents", "-B", "weekly", file("image.qcow2"), file("out")],
    changes: { out: digest(WEEKLY_MAP) },
  },
  {
    name: "export of a qcow2 image to standard output",
    files: { "image.qcow2": IMAGE },
    args: (file) => ["export", "--to", "extents", "-B", "weekly", file("image.qcow2")],
    stdout: "out",
    changes: { out: digest(WEEKLY_MAP) },
  },
  {
    name: "export to standard output",
    files: { [FILE]: GOOD },
    args: (file) => ["export", "--to", "extents", "-B", "daily", file(FILE)],
    stdout: "out",
    changes: { out: digest(Buffer.from(extentsText(DAILY))) },
  },
  {
    name: "map",
    files: { [FILE]: GOOD },
    args: (file) => ["map", file(FILE), "daily"],
    stdout: "out",
    changes: { out: digest(Buffer.from(tableText(DAILY))) },
  },
];

/** A target that differs from the source in every byte: what is copied is seen, and what is not. */
const STALE = Buffer.from(CURRENT.map((byte) => byte ^ 0xff));
const COPIED = Buffer.from(STALE);
for (const [at, dirty] of DIFFERENT.bits.entries())
  if (dirty) CURRENT.copy(COPIED, at * 4096, at * 4096, (at + 1) * 4096);

const COPY: Case = {
  name: "copy",
  files: { [FILE]: fileOf([DIFFERENT]), source: CURRENT, target: STALE },
  args: (file) => ["copy", file(FILE), "diff", file("source"), file("target")],
  changes: { target: digest(COPIED) },
  partial: "target",
  between(bytes) {
    if (bytes.length !== STALE.length) return `it has ${bytes.length} bytes`;
    const wrong = bytes.findIndex((byte, at) => byte !== STALE[at] && byte !== COPIED[at]);
    return wrong < 0 ? undefined : `byte ${wrong} is neither as it was nor as in the source`;
  },
};

/** A bitmap with the range of one cluster dirty. */
function dirtied(name: string, cluster: number): readonly CommentedBitmap[] {
  return USABLE.map((one) => {
    if (one.name !== name) return one;
    return { ...one, bits: [...one.bits].fill(true, cluster * CLUSTER, (cluster + 1) * CLUSTER) };
  });
}

function repair(title: string, bytes: Uint8Array, states: readonly BitmapState[]): Case {
  return {
    name: `check -r: ${title}`,
    files: { [FILE]: bytes },
    args: (file) => ["check", "-r", file(FILE)],
    changes: { [FILE]: states },
    reports: true,
  };
}

const WHOLE = fileOf(USABLE);
const badCluster: Form = { change: withCluster("other", 0, { data: bytesOfBits([true], 512), crc: 1 }) };
const leaking = new Uint8Array(WHOLE.length + 10_000);
leaking.set(WHOLE);

/** A bitmap whose L1 area is damaged. */
const badArea: Form = {
  change: (spec) => ({
    ...spec,
    bitmaps: (spec.bitmaps ?? []).map((one) => (one.name === "other" ? { ...one, l1Checksum: 1 } : one)),
  }),
};

/** A file in which `other` has the first data cluster of `daily` for its own first one. */
function shared(): Uint8Array {
  const view = Buffer.from(WHOLE);
  const area = Number(view.readBigUInt64BE(8192));
  const at = view.readBigUInt64BE(area);
  const crc = crc32(view.subarray(Number(at), Number(at) + 512));
  return fileOf(USABLE, { change: withCluster("other", 0, { descriptor: at, crc }) });
}

/** Bitmaps, those of some names all dirty. */
function allDirty(...names: readonly string[]): readonly CommentedBitmap[] {
  return USABLE.map((one) => (names.includes(one.name) ? { ...one, bits: one.bits.map(() => true) } : one));
}

const REPAIRS: readonly Case[] = [
  repair("nothing to do", WHOLE, stateOfModel(USABLE)),
  repair("a data cluster", fileOf(USABLE, badCluster), stateOfModel(dirtied("other", 0))),
  repair("an L1 area", fileOf(USABLE, badArea), stateOfModel(allDirty("other"))),
  repair("a cluster with two owners", shared(), stateOfModel(allDirty("daily", "other"))),
  repair("the primary", flipped(WHOLE, 3000), stateOfModel(USABLE)),
  repair("the mirror", flipped(WHOLE, 4096 + 3000), stateOfModel(USABLE)),
  repair("a leak", leaking, stateOfModel(USABLE)),
];

const MARK = ["--mark", "3M+1M"] as const;
const MARKED = after([["mark", `${3 * 2 ** 20}+${2 ** 20}`]]);

/** The state of bitmaps, one of which is damaged. */
function withDamage(bitmaps: readonly CommentedBitmap[], name: string): BitmapState[] {
  return stateOfModel(bitmaps).map((one) => {
    if (one.name !== name) return one;
    const { dirty, ...rest } = one;
    return { ...rest, error: "DAMAGED" };
  });
}

/** Edits of a file that is not whole. */
const DAMAGED: readonly Case[] = [
  {
    ...edits(MARK, []),
    name: "bitmap --mark, the primary is bad",
    files: { [FILE]: flipped(GOOD, 3000) },
    changes: { [FILE]: stateOfModel(MARKED) },
  },
  {
    ...edits(MARK, []),
    name: "bitmap --mark, another bitmap is damaged",
    files: { [FILE]: fileOf(BITMAPS, badArea) },
    changes: { [FILE]: withDamage(MARKED, "other") },
  },
  {
    ...edits(MARK, []),
    name: "bitmap --mark, the file is cut",
    files: { [FILE]: GOOD.subarray(0, GOOD.length - 512) },
    changes: { [FILE]: withDamage(MARKED, "bystander") },
  },
  {
    ...edits([], []),
    name: "bitmap --mark-all of a damaged bitmap",
    files: { [FILE]: fileOf(BITMAPS, badCluster) },
    args: (file) => ["bitmap", "--mark-all", file(FILE), "other"],
    changes: { [FILE]: stateOfModel(after([["mark-all"]], "other")) },
  },
  {
    ...edits([], []),
    name: "bitmap --remove, it shares a cluster",
    files: { [FILE]: shared() },
    args: (file) => ["bitmap", "--remove", file(FILE), "daily"],
    changes: { [FILE]: stateOfModel(USABLE.filter(({ name }) => name !== "daily").map(withFirstCluster)) },
  },
];

/** `other` as the survivor of two owners: the checksum of the cluster that it has is right. */
function withFirstCluster(one: CommentedBitmap): CommentedBitmap {
  if (one.name !== "other") return one;
  return { ...one, bits: [...DAILY.bits.slice(0, CLUSTER), ...one.bits.slice(CLUSTER)] };
}

/** All of them. */
export const CASES: readonly Case[] = [...ACTIONS, ...MAKERS, COPY, ...REPAIRS, ...DAMAGED];

/** Marks a range of a bitmap that the case does not touch. */
export const NEXT_RUN: readonly string[] = ["--mark", "4M+512"];

/** That bitmap, of a file that has one. */
export function bystanderOf(state: FileState): BitmapState | undefined {
  if (typeof state === "string") return undefined;
  return state.find(({ name, dirty }) => (name === "bystander" || name === "next") && dirty !== undefined);
}

/** A state after {@link NEXT_RUN}: the bystander has one more dirty bit. */
export function afterNextRun(state: FileState, bystander: BitmapState): FileState {
  if (typeof state === "string") return state;
  return state.map((bitmap) => (bitmap === bystander ? { ...bitmap, dirty: marked(bitmap) } : bitmap));
}

function marked({ dirty, size }: BitmapState): readonly (readonly [string, string])[] {
  const bits = new Array<boolean>(Number(size) / GRANULARITY).fill(false);
  for (const [offset, length] of dirty ?? []) {
    bits.fill(true, Number(offset) / GRANULARITY, (Number(offset) + Number(length)) / GRANULARITY);
  }
  bits[(4 * 2 ** 20) / GRANULARITY] = true;
  return dirtyOf({ bits, granularity: GRANULARITY, size: Number(size) });
}
