// Changes of a bitmap's flags and name. They read nothing, and one that fails leaves all bitmaps as they were.
import { ClusterBits } from "../bits/cluster-bits.ts";
import { encodeUtf8 } from "../layout/text.ts";
import type { Limits } from "../limits.ts";
import { FLAG } from "../records/bitmap-entry.ts";
import type { BitmapList } from "./bitmap-list.ts";
import { withRecord } from "./chain-records.ts";
import { entryOf, sessionIn, shapeOf, soundEntry, usableEntry, usage } from "./pending-bitmap.ts";
import { withoutUse } from "./session.ts";

/** Makes every bit dirty, and clears in_use, with the session. @throws {QdbError} as `Edits.markAll` */
export function markAll(list: BitmapList, name: string, options: Limits & { readonly clusterSize: number }): void {
  const bitmap = list.find(name);
  const entry = entryOf(bitmap);
  const bits = ClusterBits.uniform(shapeOf(bitmap), "ones", options);
  list.setEntry(bitmap, withoutUse(entry));
  bitmap.bits = bits;
}

/** Sets or clears the enabled flag. @throws {QdbError} as `Edits.setEnabled` */
export function setEnabled(list: BitmapList, name: string, enabled: boolean): void {
  const bitmap = list.find(name);
  const entry = usableEntry(bitmap);
  if (enabled && (entry.flags & FLAG.frozen) !== 0)
    throw usage("it is frozen: its successor collects; release it first", name);
  const flags = enabled ? entry.flags | FLAG.enabled : entry.flags & ~FLAG.enabled;
  list.setEntry(bitmap, { ...entry, flags });
}

/** Gives a bitmap another name, also in the record of a frozen bitmap whose successor it is. @throws {QdbError} as `Edits.rename` */
export function rename(list: BitmapList, name: string, to: string): void {
  const bitmap = list.find(name);
  const entry = { ...soundEntry(bitmap), nameBytes: encodeUtf8(to) };
  if (name === to) return;
  if (sessionIn(entry.extraData) !== undefined)
    throw usage(
      "it is in a session, whose shell knows it by this name; import the shell or mark everything dirty first",
      name,
    );
  list.refuseExisting(to);
  // `soundEntry` refuses a bitmap in error: encoding its entry again would hide the error (QDB-CMT-091).
  const followers = list.frozenFor(bitmap).map((frozen) => {
    const before = soundEntry(frozen);
    return [frozen, { ...before, extraData: withRecord(before.extraData, { kind: "successor", text: to }) }] as const;
  });
  // What follows cannot fail.
  list.setEntry(bitmap, entry, to);
  for (const [frozen, after] of followers) list.setEntry(frozen, after);
}
