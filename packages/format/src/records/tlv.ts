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

/**
 * Walks a row of type-length-value items. What breaks the walk is reported and ends it.
 * Reports BAD_FIELD, DUPLICATE_TYPE, LIMIT.
 */
export function walkTlv(area: Uint8Array, rules: TlvRules, report: Report): TlvWalk {
  const items: Tlv[] = [];
  const padding: DirtyPadding[] = [];
  const seen = new Set<number>();
  const view = viewOf(area);
  const [typeAt, typeField] = TLV_HEAD.fields.type;
  const [lengthAt, lengthField] = TLV_HEAD.fields.length;
  let at = 0;
  let isBroken = false;
  const problem = (code: Parameters<Report>[0]["code"], field: string, message: string): void =>
    report({
      code,
      message: `${rules.structure}: ${message}`,
      where: {
        structure: rules.structure,
        field,
        offset: rules.fileOffset + at,
        ...(rules.bitmap === undefined ? {} : { bitmap: rules.bitmap }),
      },
    });
  while (at < area.length) {
    if (area.length - at < TLV_HEAD.size) {
      problem("BAD_FIELD", "length", `${area.length - at} bytes are left where a type and a length need 8`);
      isBroken = true;
      break;
    }
    // Read field by field, not as one value: a table can hold millions of them.
    const head = { type: typeField.read(view, at + typeAt), length: lengthField.read(view, at + lengthAt) };
    if (head.type === 0) {
      if (rules.endMark) {
        // Written 0, and not read.
        if (head.length !== 0) padding.push({ offset: at + u32.size, what: "length of the end mark" });
        at += TLV_HEAD.size;
      } else {
        isBroken = true;
        problem("BAD_FIELD", "type", "a record of type 0 is not allowed");
      }
      break;
    }
    const left = area.length - at - TLV_HEAD.size;
    if (head.length > left || align8(head.length) > left) {
      problem("BAD_FIELD", "length", `type 0x${hex32(head.type)} claims ${head.length} bytes, ${left} are left`);
      isBroken = true;
      break;
    }
    if (items.length === rules.maxItems) {
      problem("LIMIT", "type", `more than ${rules.maxItems} of them`);
      isBroken = true;
      break;
    }
    if (seen.has(head.type)) problem("DUPLICATE_TYPE", "type", `type 0x${hex32(head.type)} stands there twice`);
    seen.add(head.type);
    const start = at + TLV_HEAD.size;
    items.push({ type: head.type, data: area.subarray(start, start + head.length) });
    at = start + align8(head.length);
    if (!isZero(area.subarray(start + head.length, at))) padding.push({ offset: start + head.length, what: "padding" });
  }
  return { items, end: at, padding, isBroken };
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
