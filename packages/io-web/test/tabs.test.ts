// Tabs of a real Chromium over the origin private file system: a lock between two, one that is killed in a commit, no more space, and what
// other programs say of the file.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readBitmap } from "@qdb/format";
import { openQdb } from "@qdb/io-node";
import type { Page } from "playwright";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Pages, startPages } from "./support/page.ts";

const COMMAND = fileURLToPath(new URL("../../cli/dist/qdb.cjs", import.meta.url));
const NODE = process.env.QDB_NODE ?? process.execPath;
/** How many tabs are killed. */
const KILLS = process.env.QDB_SOAK === "1" ? 4 * 15 : 6;
/** More than the writes, flushes and cuts of one commit. */
const STEPS = 15;
const BITS = 4096;

let pages: Pages;
beforeAll(async () => {
  pages = await startPages();
});
afterAll(() => pages?.close());

const folder = mkdtempSync(join(tmpdir(), "qdb-tabs-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Copies a file of the browser to the disk, as a download would. */
async function download(page: Page, name: string): Promise<string> {
  const text = await page.evaluate(async (name) => {
    const source = await qdb.openOpfsSource(`opfs:${name}`);
    const bytes = await source.read(0, source.size);
    return Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
  }, name);
  const path = join(folder, name);
  writeFileSync(path, Buffer.from(text, "latin1"));
  return path;
}

/** Checks a file with the built command. */
function check(path: string): { status: number | null; stderr: string } {
  const { status, stderr } = spawnSync(NODE, [COMMAND, "check", path], { encoding: "utf8" });
  return { status, stderr };
}

async function dirtyOf(path: string, name: string): Promise<number[]> {
  const file = await openQdb(path);
  const bits = await readBitmap(file.bitmap(name));
  await file.close();
  return Array.from({ length: bits.bitCount }, (_, bit) => bit).filter((bit) => bits.isDirty(bit));
}

test("a policy without WebAssembly refuses it, and the same is done in JavaScript", async () => {
  const page = await pages.open();
  expect(
    await page.evaluate(() => {
      try {
        new WebAssembly.Module(Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0));
        return "compiled";
      } catch (error) {
        return (error as Error).name;
      }
    }),
  ).toBe("CompileError");
  expect(await page.evaluate(() => qdb.crc32(new TextEncoder().encode("123456789".repeat(1000))))).toBe(
    (await import("node:zlib")).crc32(Buffer.from("123456789".repeat(1000))),
  );
  await page.close();
});

test("a file that a page wrote reads in Node, and passes qdb check", async () => {
  const page = await pages.open("as they are");
  await page.evaluate(async (bits) => {
    await qdb.createQdb("opfs:written.qdb", { bitmaps: [{ name: "daily", size: bits * 512, granularity: 512 }] });
    await qdb.editQdb("opfs:written.qdb", (edit) => {
      edit.bitmap("daily").mark({ offset: 512, length: 1024 });
      edit.add({ name: "weekly", size: 2 ** 30 });
    });
    await qdb.editQdb("opfs:written.qdb", (edit) => edit.bitmap("daily").mark({ offset: 100 * 512, length: 1 }));
  }, BITS);
  const path = await download(page, "written.qdb");
  expect(check(path)).toEqual({ status: 0, stderr: "" });
  expect(await dirtyOf(path, "daily")).toEqual([1, 2, 100]);
  expect(await dirtyOf(path, "weekly")).toEqual([]);
  await page.close();
});

test("a second tab is LOCKED at once, and reads; when the first one ends, it can write (QDB-CMT-013)", async () => {
  const [first, second] = [await pages.open(), await pages.open()];
  await first.evaluate(async () => {
    await qdb.createQdb("opfs:two.qdb", { bitmaps: [{ name: "a", size: 8192, granularity: 512 }] });
    // An edit that does not end.
    await new Promise<void>((resolve) => {
      void qdb.editQdb("opfs:two.qdb", async (edit) => {
        edit.bitmap("a").markAll();
        resolve();
        await new Promise(() => undefined);
      });
    });
  });
  const edit = (page: Page) =>
    page.evaluate(() =>
      qdb
        .editQdb("opfs:two.qdb", (edit) => edit.bitmap("a").mark({ offset: 0, length: 512 }))
        .then(
          () => "ok",
          (error) => error.code,
        ),
    );
  const count = (page: Page) =>
    page.evaluate(async () => (await (await qdb.openQdb("opfs:two.qdb")).bitmap("a").count()).bits);
  expect(await edit(second)).toBe("LOCKED");
  expect(await count(second)).toBe(0);
  await first.close();
  await expect.poll(() => edit(second), { timeout: 10_000 }).toBe("ok");
  expect(await count(second)).toBe(1);
  await second.close();
});

test("without more space a commit fails, and the file has its old state", async () => {
  const page = await pages.open();
  await page.evaluate(() =>
    qdb.createQdb("opfs:full.qdb", { bitmaps: [{ name: "a", size: 2 ** 40, granularity: 4096 }] }),
  );
  const session = await pages.context.newCDPSession(page);
  const before = await download(page, "full.qdb");
  await session.send("Storage.overrideQuotaForOrigin", { origin: pages.origin, quotaSize: 1_000_000 });
  const outcome = await page.evaluate(() =>
    qdb
      .editQdb("opfs:full.qdb", (edit) => {
        const bits = qdb.Bitmap.clean({ size: 2 ** 40, granularity: 4096 });
        // 32 MiB of bits of which no cluster is all zeros or all ones.
        for (let at = 0; at < 2 ** 40; at += 2 ** 25) bits.mark({ offset: at, length: 4096 });
        edit.bitmap("a").merge(bits);
      })
      .then(
        () => ({ code: "ok", message: "" }),
        ({ code, message }) => ({ code, message }),
      ),
  );
  await session.send("Storage.overrideQuotaForOrigin", { origin: pages.origin });
  expect(outcome).toEqual({ code: "POISONED", message: expect.stringMatching(/QuotaExceeded|written/) });
  const after = await download(page, "full.qdb");
  expect(check(after).status).toBe(0);
  expect(await dirtyOfAll(after)).toBe(await dirtyOfAll(before));
  // With space again, it is stored.
  expect(
    await page.evaluate(async () => {
      await qdb.editQdb("opfs:full.qdb", (edit) => edit.bitmap("a").mark({ offset: 0, length: 4096 }));
      return (await (await qdb.openQdb("opfs:full.qdb")).bitmap("a").count()).bits;
    }),
  ).toBe(1);
  await page.close();
}, 120_000);

async function dirtyOfAll(path: string): Promise<number> {
  const file = await openQdb(path);
  const { bits } = await file.bitmap("a").count();
  await file.close();
  return bits;
}

test(`${KILLS} tabs that are killed while they commit leave the old state or the new one`, async () => {
  let page = await pages.open();
  await page.evaluate(
    (bits) =>
      qdb.createQdb("opfs:killed.qdb", {
        bitmaps: ["a", "b"].map((name) => ({ name, size: bits * 512, granularity: 512 })),
      }),
    BITS,
  );
  let stored = 0;
  const seen = { old: 0, new: 0 };
  for (let kill = 0; kill < KILLS; kill++) {
    let told = stored;
    let crash: () => void = () => undefined;
    const isStuck = new Promise<void>((resolve) => {
      crash = resolve;
    });
    await page.exposeFunction("told", (state: number) => {
      told = state;
    });
    await page.exposeFunction("stuck", () => crash());
    // State n of the file: the first n bits of both bitmaps are dirty. Each state is told before the next one is begun. After `steps` writes,
    // flushes and cuts, which are those of one commit and a part of another, the worker is asked nothing more.
    const started = page.evaluate(
      async ([from, steps]) => {
        const { told: tell, stuck } = globalThis as unknown as {
          told(state: number): Promise<void>;
          stuck(): Promise<void>;
        };
        const post = Worker.prototype.postMessage;
        let step = 0;
        Worker.prototype.postMessage = function (message) {
          if (["write", "flush", "truncate"].includes(message.request.do) && step++ >= steps) void stuck();
          else post.call(this, message);
        };
        for (let state = from + 1; ; state++) {
          await qdb.editQdb("opfs:killed.qdb", (edit) => {
            for (const name of ["a", "b"]) edit.bitmap(name).mark({ offset: 0, length: state * 512 });
          });
          await tell(state);
        }
      },
      [stored, KILLS < STEPS ? kill * 2 : kill % STEPS] as const,
    );
    const ended = started.catch(() => undefined);
    await isStuck;
    const session = await pages.context.newCDPSession(page);
    const crashed = new Promise((resolve) => page.once("crash", resolve));
    void session.send("Page.crash").catch(() => undefined);
    await crashed;
    await ended;
    await page.close();
    page = await pages.open();
    const path = await download(page, "killed.qdb");
    // 3: a leak, which is what a commit leaves that did not end.
    expect(check(path)).toEqual({ status: expect.toBeOneOf([0, 3]), stderr: "" });
    const dirty = await dirtyOf(path, "a");
    expect(await dirtyOf(path, "b")).toEqual(dirty);
    expect(dirty).toEqual(Array.from({ length: dirty.length }, (_, bit) => bit));
    expect(dirty.length).toBeOneOf([told, told + 1]);
    seen[dirty.length === told ? "old" : "new"]++;
    // The lock of the killed tab is free, or will be at once.
    const reopened = (): Promise<string> =>
      page.evaluate(() =>
        qdb
          .editQdb("opfs:killed.qdb", () => undefined)
          .then(
            () => "ok",
            (error) => error.code,
          ),
      );
    await expect.poll(reopened, { timeout: 10_000 }).toBe("ok");
    stored = dirty.length;
  }
  console.log(`${KILLS} kills: ${seen.old} old, ${seen.new} new states, ${stored} commits`);
  await page.close();
}, 600_000);
