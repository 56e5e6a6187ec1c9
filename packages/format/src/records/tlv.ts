import type { Report } from "../errors.ts";
import { isZero } from "../layout/bytes.ts";
import { u32, viewOf } from "../layout/fields.ts";
import { align8 } from "../layout/numbers.ts";
import { struct } from "../layout/struct.ts";
import { hex32 } from "../layout/text.ts";

/** Head of a header extension and of an extra-data record, which have the same shape (spec §2 and §3); the data follows, padded to 8. */
export const TLV_HEAD = struct("extension", 8, {
  type: [0, u32, "what the data is; 0 ends the header extensions", "QDB-EXT-001"],
  length: [4, u32, "length of the data in bytes, without padding", "QDB-EXT-002"],
});

/** A header extension or an extra-data record as it stands in the file. */
export interface Tlv {
  readonly type: number;
  readonly data: Uint8Array;
}

/** A piece of padding that is not zero: legal, but no canonical file has it. */
export interface DirtyPadding {
  /** Bytes from the start of the walked area. */
  readonly offset: number;
  readonly what: "padding" | "length of the end mark";
}

/** What a walk over a row of them found. */
export interface TlvWalk {
  readonly items: readonly Tlv[];
  /** Where the row ends, in bytes from the start of the area: behind the end mark, when there is one. */
  readonly end: number;
  readonly padding: readonly DirtyPadding[];
  /** Whether something broke the walk: what lies behind was not looked at. */
  readonly isBroken: boolean;
  /** Whether an end mark ended it. */
  readonly hasEndMark: boolean;
}

/** How the row behaves; the header's ends at a mark or with its space, a record row fills its space. */
export interface TlvRules {
  readonly structure: string;
  readonly endMark: boolean;
  readonly maxItems: number;
  /** File offset of the area in bytes, for messages. */
  readonly fileOffset: number;
  readonly bitmap?: string;
}

/** Is shown an item: its type, and where in the area its data stands. Plain numbers, since a table can hold millions of items. */
type TlvVisitor = (type: number, start: number, length: number) => void;

/** What a walk that kept nothing came to. */
interface TlvScan extends Pick<TlvWalk, "end" | "isBroken" | "hasEndMark"> {
  /** Whether there is an end mark whose length is not 0. */
  readonly isMarkDirty: boolean;
}

/**
 * Walks a row of type-length-value items. What breaks the walk is reported and ends it.
 * Reports BAD_FIELD, DUPLICATE_TYPE, LIMIT.
 */
export function scanTlv(area: Uint8Array, rules: TlvRules, report: Report, visit: TlvVisitor): TlvScan {
  const seen = new Set<number>();
  const view = viewOf(area);
  const [typeAt, typeField] = TLV_HEAD.fields.type;
  const [lengthAt, lengthField] = TLV_HEAD.fields.length;
  let at = 0;
  let count = 0;
  const problem = (code: Parameters<Report>[0]["code"], field: string, message: string): void => {
    const { structure, fileOffset, bitmap } = rules;
    const where = { structure, field, offset: fileOffset + at, ...(bitmap === undefined ? {} : { bitmap }) };
    report({ code, message: `${structure}: ${message}`, where });
  };
  const broken = (code: Parameters<Report>[0]["code"], field: string, message: string): TlvScan => {
    problem(code, field, message);
    return { end: at, isBroken: true, hasEndMark: false, isMarkDirty: false };
  };
  while (at < area.length) {
    if (area.length - at < TLV_HEAD.size) {
      return broken("BAD_FIELD", "length", `${area.length - at} bytes are left where a type and a length need 8`);
    }
    const type = typeField.read(view, at + typeAt);
    const length = lengthField.read(view, at + lengthAt);
    if (type === 0) {
      if (!rules.endMark) return broken("BAD_FIELD", "type", "a record of type 0 is not allowed");
      // Written 0, and not read.
      return { end: at + TLV_HEAD.size, isBroken: false, hasEndMark: true, isMarkDirty: length !== 0 };
    }
    const left = area.length - at - TLV_HEAD.size;
    if (length > left || align8(length) > left) {
      return broken("BAD_FIELD", "length", `type 0x${hex32(type)} claims ${length} bytes, ${left} are left`);
    }
    if (count === rules.maxItems) return broken("LIMIT", "type", `more than ${rules.maxItems} of them`);
    if (seen.has(type)) problem("DUPLICATE_TYPE", "type", `type 0x${hex32(type)} stands there twice`);
    seen.add(type);
    count++;
    visit(type, at + TLV_HEAD.size, length);
    at += TLV_HEAD.size + align8(length);
  }
  return { end: at, isBroken: false, hasEndMark: false, isMarkDirty: false };
}

/** Walks a row as {@link scanTlv} does, and keeps its items and what is not zero between them. */
export function walkTlv(area: Uint8Array, rules: TlvRules, report: Report): TlvWalk {
  const items: Tlv[] = [];
  const padding: DirtyPadding[] = [];
  const scan = scanTlv(area, rules, report, (type, start, length) => {
    items.push({ type, data: area.subarray(start, start + length) });
    const end = start + length;
    if (length % 8 !== 0 && !isZero(area.subarray(end, start + align8(length))))
      padding.push({ offset: end, what: "padding" });
  });
  if (scan.isMarkDirty) padding.push({ offset: scan.end - u32.size, what: "length of the end mark" });
  const { end, isBroken, hasEndMark } = scan;
  return { items, end, padding, isBroken, hasEndMark };
}

/** Bytes that the items take, each padded to 8, without an end mark. */
export function tlvSize(items: readonly Tlv[]): number {
  return items.reduce((sum, item) => sum + TLV_HEAD.size + align8(item.data.length), 0);
}

/** Writes items one behind the other at `at`; the padding is zero where the target was. Gives the offset behind them. */
export function writeTlv(items: readonly Tlv[], target: Uint8Array, at: number): number {
  let next = at;
  for (const item of items) {
    TLV_HEAD.encode({ type: item.type, length: item.data.length }, target, next);
    target.set(item.data, next + TLV_HEAD.size);
    next += TLV_HEAD.size + align8(item.data.length);
  }
  return next;
}
