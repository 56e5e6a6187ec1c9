import type { Report } from "../errors.ts";
import { isZero } from "../layout/bytes.ts";
import { u32, viewOf } from "../layout/fields.ts";
import { align8 } from "../layout/numbers.ts";
import { struct } from "../layout/struct.ts";
import { hex32 } from "../layout/text.ts";

/**
 * The head of a header extension or of an extra-data record, which have the same form (spec §2, §3). The data follows, padded to a multiple
 * of 8 bytes.
 */
export const TLV_HEAD = struct("extension", 8, {
  type: [0, u32],
  length: [4, u32],
});

/** A header extension or an extra-data record: an item of type, length (that of `data`) and value. */
export interface Tlv {
  readonly type: number;
  readonly data: Uint8Array;
}

/** Padding that is not zero. It is allowed, except in a canonical file. */
export interface DirtyPadding {
  /** Offset of the padding in bytes from the start of the area that was walked. */
  readonly offset: number;
  readonly what: "padding" | "length of the end mark";
}

/** The result of walking a list of items. */
export interface TlvWalk {
  readonly items: readonly Tlv[];
  /** End of the items, and of the end mark if there is one, in bytes from the start of the area. */
  readonly end: number;
  readonly padding: readonly DirtyPadding[];
  /** Whether an error ended the walk. Bytes after the error were not read then. */
  readonly isBroken: boolean;
  /** Whether an end mark ended the walk. */
  readonly hasEndMark: boolean;
}

/** The rules for a list of items. Header extensions end at an end mark, or with the area that holds them; records fill their area. */
export interface TlvRules {
  readonly structure: string;
  readonly endMark: boolean;
  readonly maxItems: number;
  /** File offset of the area in bytes, for messages. */
  readonly fileOffset: number;
  readonly bitmap?: string;
}

/**
 * Receives the type of an item, and start and length of its data in the area, in bytes. It gets no object, since a table can hold millions
 * of items.
 */
type TlvVisitor = (type: number, start: number, length: number) => void;

/** The result of a walk that does not collect the items. */
interface TlvScan extends Pick<TlvWalk, "end" | "isBroken" | "hasEndMark"> {
  /** Whether there is an end mark with a length other than 0. */
  readonly isMarkDirty: boolean;
}

/**
 * Walks a list of type-length-value items, and calls `visit` for each item. Reports BAD_FIELD, DUPLICATE_TYPE and LIMIT. BAD_FIELD and
 * LIMIT end the walk, since the start of the next item is unknown or there are too many items.
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
      return broken("BAD_FIELD", "length", `${area.length - at} bytes are left, but a type and a length need 8`);
    }
    const type = typeField.read(view, at + typeAt);
    const length = lengthField.read(view, at + lengthAt);
    if (type === 0) {
      if (!rules.endMark) return broken("BAD_FIELD", "type", "a record of type 0 is not allowed");
      // Writers set the length of the end mark to 0; readers ignore it.
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

/** Walks a list of items as {@link scanTlv} does, and returns the items and the padding that is not zero. */
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

/** Returns the length of items in bytes, each padded to a multiple of 8, without an end mark. */
export function tlvSize(items: readonly Tlv[]): number {
  return items.reduce((sum, item) => sum + TLV_HEAD.size + align8(item.data.length), 0);
}

/**
 * Writes items one after the other, from byte `at` of `target` on. Returns the offset at which the last item, with its padding, ends.
 * Padding is not written, since the target must have zeros there.
 */
export function writeTlv(items: readonly Tlv[], target: Uint8Array, at: number): number {
  let next = at;
  for (const item of items) {
    TLV_HEAD.encode({ type: item.type, length: item.data.length }, target, next);
    target.set(item.data, next + TLV_HEAD.size);
    next += TLV_HEAD.size + align8(item.data.length);
  }
  return next;
}
