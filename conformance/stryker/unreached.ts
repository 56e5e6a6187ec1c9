// SPDX-License-Identifier: CC0-1.0 OR MIT
// What of the rooms no verb of the protocol reaches: functions, classes, members as CLASS.MEMBER, locals as FUNCTION:LOCAL.

const PEOPLE = "shown to people only";
const COUNT = "no verb counts bits without giving them";
const READ = "bitmaps are read whole or as the JSON form; no verb asks for one in another way";
const EDIT = "no operation of a script does this";
const PROGRESS = "no verb tells how far it is";
const COMMIT = "no vector makes a commit pass by while a file is read";
const STORE = "no vector makes a store fail";
const FILE = "the host's: no verb closes a store or replaces a file";

/** The declarations, each with the reason why no vector can reach it. */
export const UNREACHED: ReadonlyMap<string, string> = new Map([
  // The name of an unknown feature goes into a message, names of extensions into lists that are not part of the JSON form.
  ["featureName", PEOPLE],
  ["extensionName", PEOPLE],
  ["announcedFeatures", PEOPLE],
  ["validateIdentity:bitsOk", PEOPLE],
  ["validateIdentity:table", PEOPLE],
  ["validateIdentity:names", PEOPLE],
  ["excerpt", PEOPLE],
  ["JsonScanner.fail:before", PEOPLE],
  ["JsonScanner.fail:line", PEOPLE],
  ["JsonScanner.fail:column", PEOPLE],
  ["JsonScanner.fail:place", PEOPLE],
  ["JsonScanner.object:place", PEOPLE],
  ["JsonScanner.#more:lines", PEOPLE],
  ["JsonScanner.#line", PEOPLE],
  ["JsonScanner.#column", PEOPLE],
  ["JsonLoader.#validate:index", PEOPLE],
  ["JsonLoader.#validate:inHeader", PEOPLE],
  ["JsonLoader.#validate:path", PEOPLE],
  ["Counts", COUNT],
  ["Counted", COUNT],
  ["countPlan", COUNT],
  ["countAllPlan", COUNT],
  ["QdbFile.count", COUNT],
  ["StoredBitmap.count", COUNT],
  ["StoredBitmap.name", READ],
  ["StoredBitmap.shape", READ],
  ["StoredBitmap.extents", READ],
  ["StoredBitmap.read", READ],
  ["sameBitmap", READ],
  ["readMap", READ],
  ["readMaps", READ],
  ["usable", READ],
  ["Edits.flags", EDIT],
  ["Edits.records", EDIT],
  ["Edits.replace", EDIT],
  ["Edits.setRecord", EDIT],
  ["QdbFile.close", FILE],
  ["QdbEditor.close", FILE],
  ["checkPlan:counts", "the number of findings of each severity: the findings themselves are compared"],
  ["dumpPlan:errors", "how many bitmaps are in error: each has its error in the model"],
  ["busy", COMMIT],
  ["checkOnce:put", COMMIT],
  ["checkOnce:most", COMMIT],
  ["checkOnce:isRead", COMMIT],
  ["QdbFile.streamStable:put", COMMIT],
  ["QdbFile.runStable:catch", STORE],
  ["QdbFile.streamStable:catch", STORE],
  ["Session.#guard:catch", STORE],
  ["readOrNothing:catch", STORE],
  ["readClusters:catch", STORE],
  ["verified:catch", STORE],
  ["sourceChanged", COMMIT],
  ["dumpPlan:total", PROGRESS],
  ["dumpPlan:done", PROGRESS],
  ["checkBitmaps:total", PROGRESS],
  ["checkBitmaps:before", PROGRESS],
  ["checkBitmaps:progress", PROGRESS],
]);
