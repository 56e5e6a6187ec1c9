import { quote } from "@qdb/format";
import { longSize } from "../shell/size.ts";
import type { Colors } from "../shell/terminal.ts";
import { changeText } from "./disk-info.ts";
import type { BitmapInfo, ExtensionInfo, FeatureInfo, FileInfo } from "./info-document.ts";

/** Yields the lines of text about a file with `count` bitmaps. All text that comes from the file is quoted. */
export function* infoLines(info: FileInfo, count: number, colors: Colors): Generator<string, void> {
  yield* headLines(info, colors);
  yield `bitmaps: ${count}`;
  for (const bitmap of info.bitmaps) yield* bitmapLines(bitmap, "L1 area", colors);
}

function headLines(info: FileInfo, colors: Colors): string[] {
  const { form, extensions } = info;
  return [
    `file: ${quote(info.filename)}`,
    `file format: qdb, version ${info.version}, ${form} form`,
    ...(info.unprotected
      ? [colors.yellow("unprotected: a draft has no checksums, damage of its bits would not be found")]
      : []),
    ...(info.header_source === "mirror" ? [colors.yellow("header: damaged, its mirror was used")] : []),
    `file size: ${longSize(BigInt(info.file_size))}`,
    `cluster size: ${longSize(BigInt(info.cluster_size))}`,
    ...(form === "full"
      ? [`generation: ${info.generation}`, `file id: ${info.file_id}`, `writer id: ${info.writer_id}`]
      : []),
    ...featureLines("incompatible features", info.features.incompatible),
    ...featureLines("compatible features", info.features.compatible),
    ...featureLines("autoclear features", info.features.autoclear),
    ...extensionLines(extensions),
  ];
}

/** Yields the lines about header extensions. */
export function* extensionLines(extensions: Iterable<ExtensionInfo>): Generator<string, void> {
  let isFirst = true;
  for (const { type, name, length } of extensions) {
    if (isFirst) yield "header extensions:";
    isFirst = false;
    yield `    ${type}: ${name === undefined ? "" : `${quote(name)}, `}${length} bytes`;
  }
}

/** Returns the lines about feature bits of one kind. */
export function featureLines(title: string, features: readonly FeatureInfo[]): string[] {
  if (features.length === 0) return [];
  return [
    `${title}:`,
    ...features.map(({ bit, name }) => `    bit ${bit}${name === undefined ? "" : `: ${quote(name)}`}`),
  ];
}

/** Returns the name of a bitmap for people: quoted or, if its bytes are not UTF-8, `hex:` followed by the bytes as hex digits. */
function shownName({ name, name_hex }: ShownBitmap): string {
  return name === undefined ? `hex:${name_hex}` : quote(name);
}

/** What the lines about a bitmap are made from. What is undefined has no line, since the container has no such property, or it is not known. */
type ShownBitmap = Pick<BitmapInfo, "size" | "flags" | "state"> & Undefinable<BitmapInfo>;
type Undefinable<T> = { readonly [K in keyof T]?: T[K] | undefined };

/** Returns the lines about a bitmap. `table` is what the container calls the table of its data clusters. */
export function bitmapLines(bitmap: ShownBitmap, table: string, colors: Colors): string[] {
  const line = (title: string, value: string | undefined): string[] =>
    value === undefined ? [] : [`        ${title}: ${value}`];
  const { state, error } = bitmap;
  const color = state === "ok" ? colors.green : error === undefined ? colors.yellow : colors.red;
  return [
    `    ${colors.bold(shownName(bitmap))}`,
    ...line("state", color(state)),
    ...line("error", error && colors.red(`[${error.code}] ${error.message}`)),
    ...line("size", longSize(BigInt(bitmap.size))),
    ...line("granularity", bitmap.granularity === undefined ? undefined : longSize(BigInt(bitmap.granularity))),
    ...line("bits", bitmap.bits?.toString()),
    ...line("dirty", dirtyText(bitmap)),
    ...line("flags", bitmap.flags.length === 0 ? "none" : bitmap.flags.join(", ")),
    ...line("disk", bitmap.disk === undefined ? undefined : quote(bitmap.disk)),
    ...line("disk stamp", stampText(bitmap)),
    ...line("changed since", coloredChange(bitmap, colors)),
    ...line("created", createdText(bitmap)),
    ...line("id", bitmap.id),
    ...line("parent id", bitmap.parent),
    ...line("successor", bitmap.successor === undefined ? undefined : quote(bitmap.successor)),
    ...line("session", bitmap.session && `${bitmap.session.id}, shell of inode ${bitmap.session.file}`),
    ...line("comment", bitmap.comment === undefined ? undefined : quote(bitmap.comment)),
    ...line("stored", storedText(bitmap, table)),
  ];
}

function dirtyText({ dirty_bytes, dirty_percent }: ShownBitmap): string | undefined {
  if (dirty_bytes === undefined || dirty_percent === undefined) return undefined;
  return `${longSize(BigInt(dirty_bytes))}, ${percentText(dirty_percent)}`;
}

/** Formats a percentage with two decimals. 0 and 100 are only shown if they are exact. */
function percentText(percent: number): string {
  if (percent > 0 && percent < 0.01) return "less than 0.01 %";
  if (percent < 100 && percent > 99.99) return "more than 99.99 %";
  return `${percent.toFixed(2)} %`;
}

function stampText({ disk_stamp: stamp }: ShownBitmap): string | undefined {
  if (stamp === undefined) return undefined;
  const file =
    stamp.mtime === "0" && stamp.file === "0"
      ? "no regular file"
      : `modified ${dateText(stamp.mtime)}, inode ${stamp.file}`;
  return `${longSize(BigInt(stamp.length))}, ${file}`;
}

function coloredChange(bitmap: ShownBitmap, colors: Colors): string | undefined {
  const text = changeText(bitmap);
  if (text === undefined || bitmap.disk_state === "same") return text;
  const isRed = bitmap.disk_state === "changed" || bitmap.disk_state === "unreadable";
  return isRed ? colors.red(text) : colors.yellow(text);
}

function createdText({ created, age_seconds: age }: ShownBitmap): string | undefined {
  return created === undefined || age === undefined ? undefined : `${dateText(created)}, ${ageText(age)}`;
}

/** Formats a time that is given in nanoseconds since the Unix epoch. */
function dateText(ns: string): string {
  return new Date(Number(BigInt(ns) / 1_000_000n)).toISOString().replace(/\.000Z$/, "Z");
}

const UNITS = [
  ["day", 86_400],
  ["hour", 3600],
  ["minute", 60],
] as const;

function ageText(seconds: number): string {
  if (seconds < 0) return "in the future";
  const [name, length] = UNITS.find(([, unit]) => seconds >= unit) ?? (["second", 1] as const);
  const count = Math.floor(seconds / length);
  return `${count} ${name}${count === 1 ? "" : "s"} ago`;
}

function storedText(
  { stored_clusters: clusters, stored_bytes: bytes }: ShownBitmap,
  table: string,
): string | undefined {
  if (clusters === undefined || bytes === undefined) return undefined;
  return `${clusters} data cluster${clusters === 1 ? "" : "s"}, ${longSize(BigInt(bytes))} with the ${table}`;
}
