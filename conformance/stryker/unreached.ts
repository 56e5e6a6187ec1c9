// SPDX-License-Identifier: CC0-1.0 OR MIT
// Exports of @qdb/format that no verb of the protocol reaches, and public members of its classes as CLASS.MEMBER.
// Internal functions are not listed: whether a vector reaches one is what the score measures.

const COUNT = "no verb counts bits without listing them";
const READ = "the protocol reads all bitmaps, or one, as the JSON form; no verb reads them in another way";
const EDIT = "no operation of a script does this";
const CLOSE = "no verb closes a file";

/** The exports and members, each with the reason why no vector can reach it. */
export const UNREACHED: ReadonlyMap<string, string> = new Map([
  ["extensionName", "the names of extensions are not part of the JSON form"],
  ["countPlan", COUNT],
  ["countAllPlan", COUNT],
  ["countAll", COUNT],
  ["extentsOfAll", READ],
  ["readMap", READ],
  ["Edits.flags", EDIT],
  ["Edits.records", EDIT],
  ["Edits.replace", EDIT],
  ["Edits.setRecord", EDIT],
  ["QdbFile.close", CLOSE],
  ["QdbEditor.close", CLOSE],
]);
