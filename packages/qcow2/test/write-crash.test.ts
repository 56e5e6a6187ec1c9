// Power cuts while bitmaps of an image are written: QEMU opens every state, with the old bitmaps, the new ones, or none that it believes.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { QCOW2_HEADER } from "@qdb/qcow2";
import { afterAll, beforeAll, expect, test } from "vitest";
import { requirePeers, seededRandom } from "../../cli/test/peers.ts";
import { editBy, guestDigest, makeImage } from "./operation-scripts.ts";
import { checkImage, listBitmaps, qemuDigests } from "./qemu-digest.ts";
import { crashStates, recordingStore } from "./recording-store.ts";

/** Number of commits whose states are looked at, and of states for each flush of a commit. */
const [COMMITS, STATES] = process.env.QDB_SOAK === "1" ? [80, 6] : [10, 3];

let directory: string;
beforeAll(() => {
  requirePeers("qemu-img", "qemu-io", "qemu-storage-daemon");
  directory = mkdtempSync(join(tmpdir(), "qdb-crash-"));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** Bitmaps as QEMU sees them, with its digests. */
function bitmapsOf(path: string): unknown {
  const listed = listBitmaps(path);
  const digests = qemuDigests(
    path,
    listed.map(({ name }) => name),
  );
  return listed.map((bitmap, at) => ({ ...bitmap, digest: digests[at] }));
}

let states = 0;
test.each(Array.from({ length: COMMITS }, (_, seed) => seed))(
  "commit %i: a power cut leaves the old bitmaps, the new ones, or none",
  async (seed) => {
    const random = seededRandom(5000 + seed);
    const path = join(directory, "image.qcow2");
    const { options, operations } = makeImage(path, random);
    const before = readFileSync(path);
    const guest = guestDigest(path);
    const old = bitmapsOf(path);
    const store = recordingStore(before);
    await editBy(store, operations.slice(0, 1 + random(operations.length)));
    writeFileSync(path, store.bytes);
    const next = bitmapsOf(path);
    const seen = new Set<string>();
    for (const { step, bytes } of crashStates(before, store.events, STATES, random)) {
      states++;
      writeFileSync(path, bytes);
      const what = `${options}, after flush ${step}`;
      const check = checkImage(path);
      expect([0, 3], `${what}\n${check.text}`).toContain(check.code);
      expect(guestDigest(path), what).toBe(guest);
      const found = bitmapsOf(path);
      // Without autoclear bit 0 QEMU lists no bitmaps, and drops them when it opens the image for writing.
      if (isBelieved(bytes)) expect([old, next], what).toContainEqual(found);
      else expect(found, what).toEqual([]);
      seen.add(JSON.stringify(found));
    }
    expect(seen.has(JSON.stringify(next)), "a cut after the last flush leaves the new bitmaps").toBe(true);
  },
);

test("enough states were looked at", () => {
  expect(states).toBeGreaterThan(COMMITS * STATES);
  if (process.env.QDB_SOAK === "1") console.log(`${states} states of ${COMMITS} commits`);
});

function isBelieved(bytes: Uint8Array): boolean {
  const { autoclearFeatures } = QCOW2_HEADER.decode(bytes);
  return (autoclearFeatures & 1n) !== 0n;
}
