// The packages in Firefox: a Blob, an address with every misbehaviour of its server, and a file of the browser.
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createQdb, editQdb } from "@qdb/io-node";
import puppeteer, { type Browser, type Page } from "puppeteer-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { MISBEHAVIOURS } from "./support/misbehaviours.ts";
import { type PageServer, servePages } from "./support/page.ts";
import { type RangeServer, rangeServer } from "./support/range-server.ts";

const FIREFOX = "/usr/bin/firefox-esr";
const folder = mkdtempSync(join(tmpdir(), "qdb-firefox-"));
const path = join(folder, "vm.qdb");
let browser: Browser | undefined;
let pages: PageServer;
let ranges: RangeServer;
let page: Page;

beforeAll(async () => {
  if (!existsSync(FIREFOX))
    throw new Error("This test needs firefox-esr: sudo apt-get install -y --no-install-recommends firefox-esr");
  await createQdb(path, { bitmaps: [{ name: "daily", size: 2 ** 30 }] });
  await editQdb(path, (edit) => edit.bitmap("daily").mark({ offset: 3 * 2 ** 20, length: 5 * 2 ** 20 }));
  pages = await servePages();
  ranges = await rangeServer();
  browser = await puppeteer.launch({ browser: "firefox", executablePath: FIREFOX, headless: true });
  page = await browser.newPage();
  await page.goto(pages.origin);
  await page.waitForFunction(() => globalThis.qdb !== undefined);
}, 120_000);
afterAll(async () => {
  await browser?.close();
  await ranges?.close();
  await pages?.close();
  rmSync(folder, { recursive: true, force: true });
});

test.each(["blob", "address"] as const)("a file is read: %s", async (kind) => {
  const extents = await page.evaluate(
    async (kind, url) => {
      const place = kind === "blob" ? await (await fetch(`${url}?whole`)).blob() : url;
      const file = await qdb.openQdb(place);
      const found: string[] = [];
      for await (const { offset, length } of file.bitmap("daily").extents()) found.push(`${offset} ${length}`);
      await file.close();
      return found;
    },
    kind,
    pages.serve(path),
  );
  expect(extents).toEqual(["3145728 5242880"]);
});

describe("what a server does wrong", () => {
  test.each(Object.entries(MISBEHAVIOURS))("%s", async (name, misbehaviour) => {
    const { from, timeoutMs } = misbehaviour;
    // Firefox gives a page the compressed answer, which Chromium does not.
    const { inPage = misbehaviour } = name === "compresses the body" ? {} : misbehaviour;
    const { code, message } = inPage;
    const url = `${ranges.origin}/${encodeURIComponent(name)}/firefox`;
    const said = await page.evaluate(
      async (url, timeoutMs) => {
        const clock = { now: () => 0, wait: async () => undefined };
        let isOpen = false;
        try {
          const source = await qdb.openHttpSource(url, { clock, retries: 2, timeoutMs });
          isOpen = true;
          await source.read(100_000, 5000);
        } catch (error) {
          if (qdb.isQdbError(error)) return { code: error.code, message: error.message, isOpen };
          throw error;
        }
        return { code: "none", message: "the read succeeded", isOpen };
      },
      url,
      timeoutMs,
    );
    expect(said).toEqual({ code, message: expect.stringMatching(message), isOpen: from === 1 });
  });
});

test("a file of the browser is made, edited and read, and a second editor is refused", async () => {
  const said = await page.evaluate(async () => {
    await qdb.createQdb("opfs:kept.qdb", { bitmaps: [{ name: "daily", size: 2 ** 30 }] });
    const second = await qdb.editQdb("opfs:kept.qdb", async (edit) => {
      edit.bitmap("daily").mark({ offset: 0, length: 65537 });
      return qdb
        .editQdb("opfs:kept.qdb", () => undefined)
        .catch((error) => (qdb.isQdbError(error) ? error.code : "other"));
    });
    const file = await qdb.openQdb("opfs:kept.qdb");
    const { bytes } = await file.bitmap("daily").count();
    await file.close();
    return { second, bytes: String(bytes) };
  });
  expect(said).toEqual({ second: "LOCKED", bytes: "131072" });
});
