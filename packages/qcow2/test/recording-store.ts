// A store in memory that records what is written to it, and the states of the file that a power cut could leave.
import { type SyncStore, shortRead } from "@qdb/format/container";
import type { Random } from "../../cli/test/peers.ts";

/** Bytes that reach the disk whole or not at all. */
const SECTOR = 512;

/** What a store was asked to do, in order. */
export type StoreEvent = { readonly offset: number; readonly bytes: Uint8Array } | "flush";

/** A store over bytes in memory, and the events so far. */
export interface RecordingStore extends SyncStore {
  readonly events: StoreEvent[];
  /** The bytes of the file now. */
  readonly bytes: Uint8Array;
}

/** Makes a store over a copy of `before`. */
export function recordingStore(before: Uint8Array): RecordingStore {
  let bytes: Uint8Array = before.slice();
  const events: StoreEvent[] = [];
  return {
    events,
    get bytes() {
      return bytes;
    },
    get size() {
      return bytes.length;
    },
    readSync(offset, length) {
      if (offset + length > bytes.length) throw shortRead(offset, length, bytes.length);
      return bytes.slice(offset, offset + length);
    },
    writeSync(offset, chunk) {
      events.push({ offset, bytes: chunk.slice() });
      bytes = withWritten(bytes, offset, chunk);
    },
    flushSync() {
      events.push("flush");
    },
    truncateSync() {
      throw new Error("nothing cuts an image");
    },
  };
}

function withWritten(file: Uint8Array, offset: number, chunk: Uint8Array): Uint8Array {
  const end = offset + chunk.length;
  const result = end > file.length ? new Uint8Array(end) : file;
  if (result !== file) result.set(file);
  result.set(chunk, offset);
  return result;
}

/** Returns the file after writes, as long as they make it. */
function withAll(
  file: Uint8Array,
  parts: readonly { readonly offset: number; readonly bytes: Uint8Array }[],
): Uint8Array {
  const result = new Uint8Array(
    parts.reduce((end, { offset, bytes }) => Math.max(end, offset + bytes.length), file.length),
  );
  result.set(file);
  for (const { offset, bytes } of parts) result.set(bytes, offset);
  return result;
}

/**
 * Yields `count` states for each flush of a recording: everything before the flush before it is on the disk, and of what was written since
 * then a random part of the sectors, in any order. The first states of each are: nothing of it, and all of it.
 */
export function* crashStates(
  before: Uint8Array,
  events: readonly StoreEvent[],
  count: number,
  random: Random,
): Generator<{ readonly step: number; readonly bytes: Uint8Array }, void> {
  let stable: Uint8Array = before.slice();
  let step = 0;
  let pending: { readonly offset: number; readonly bytes: Uint8Array }[] = [];
  for (const event of [...events, "flush" as const]) {
    if (event !== "flush") {
      for (let at = 0; at < event.bytes.length; ) {
        const end = Math.min(event.bytes.length, at + SECTOR - ((event.offset + at) % SECTOR));
        pending.push({ offset: event.offset + at, bytes: event.bytes.subarray(at, end) });
        at = end;
      }
      continue;
    }
    const parts = [0, 100, ...Array.from({ length: Math.max(0, count - 2) }, () => 5 + random(90))];
    if (pending.length > 0) {
      for (const percent of parts) {
        const chosen = pending.filter(() => random(100) < percent);
        yield { step, bytes: withAll(stable, chosen) };
      }
    }
    stable = withAll(stable, pending);
    pending = [];
    step++;
  }
}
