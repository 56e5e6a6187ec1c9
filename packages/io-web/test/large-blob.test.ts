// 512 MiB of bits in a file that is picked in a page: the time of a worker of the page beside that of Node, and how long the page is held up
// meanwhile. `pnpm soak blob` runs this and prints the times; only answers that differ, and long tasks, make it fail.
import { type ChildProcess, spawn } from "node:child_process";
import { randomFillSync } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { Bitmap } from "@qdb/format";
import { createQdb } from "@qdb/io-node";
import { build } from "esbuild";
import { type Browser, chromium, type Page } from "playwright";
import { afterAll, beforeAll, expect, test } from "vitest";
import { CHROMIUM, requireChromium } from "./support/chromium.ts";
import type { Timed, Work } from "./support/timed-read.ts";

const NODE = process.env.QDB_NODE ?? process.execPath;
const BYTES = 512 * 2 ** 20;
/** Rounds that are counted, after one that is not. Each runs Node, then the worker. */
const ROUNDS = 4;
/** What a browser calls a long task, in milliseconds. */
const LONG_TASK_MS = 50;
const TIMEOUT = 600_000;

const folder = mkdtempSync(join(tmpdir(), "qdb-large-blob-"));
let node: ChildProcess;
let answers: AsyncIterator<string>;
let server: Server;
let browser: Browser;
let page: Page;

/** Bundles a module of the tests with the built packages. */
async function bundle(name: string, platform: "browser" | "node"): Promise<string> {
  const outfile = join(folder, `${name}.mjs`);
  const entryPoints = [fileURLToPath(new URL(`support/${name}.ts`, import.meta.url))];
  await build({ entryPoints, outfile, bundle: true, format: "esm", platform, target: "es2022" });
  return outfile;
}

async function create(name: string, bytes: Uint8Array): Promise<void> {
  const bits = Bitmap.fromBytes(bytes, { size: BigInt(BYTES) * 8n * 65536n, granularity: 65536 });
  await createQdb(join(folder, name), { bitmaps: [{ name: "a", bits }] });
}

beforeAll(async () => {
  requireChromium();
  const bytes = new Uint8Array(BYTES);
  for (let bit = 0; bit < BYTES * 8 * 0.001; bit++) {
    const at = Math.floor(Math.random() * BYTES);
    bytes[at] = (bytes[at] as number) | (1 << (bit % 8));
  }
  await create("sparse", bytes);
  for (let at = 0; at < BYTES; at += 2 ** 20) randomFillSync(bytes, at, 2 ** 20);
  await create("dense", bytes);

  node = spawn(NODE, [await bundle("timed-read-node", "node")], { stdio: ["pipe", "pipe", "inherit"] });
  answers = createInterface({ input: node.stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]();

  const script = readFileSync(await bundle("timed-read-page", "browser"));
  server = createServer((request, response) => {
    const isScript = request.url === "/page.js";
    response.setHeader("Content-Type", isScript ? "text/javascript" : "text/html");
    response.end(
      isScript ? script : '<!doctype html><input type="file"><script type="module" src="/page.js"></script>',
    );
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  browser = await chromium.launch({ ...CHROMIUM, headless: true });
  page = await browser.newPage();
  await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  await page.waitForFunction(() => globalThis.timedBlob !== undefined);
  await page.evaluate(() => {
    const tasks: number[] = [];
    const observer = new PerformanceObserver((list) =>
      tasks.push(...list.getEntries().map(({ duration }) => duration)),
    );
    observer.observe({ type: "longtask" });
    const worker = new Worker("/page.js", { type: "module" });
    Object.assign(globalThis, { tasks, observer, worker });
  });
}, TIMEOUT);

afterAll(async () => {
  await browser?.close();
  server?.close();
  node?.kill();
  rmSync(folder, { recursive: true, force: true });
});

async function inNode(name: string, work: Work): Promise<Timed> {
  node.stdin?.write(`${JSON.stringify({ path: join(folder, name), work })}\n`);
  const { value } = await answers.next();
  return JSON.parse(value);
}

interface InPage extends Timed {
  /** The longest task of the page in milliseconds; 0 if none was longer than 50. */
  readonly longestTask: number;
}

/** Reads the picked file in the page itself or in its worker. */
function inPage(where: "page" | "worker", work: Work): Promise<InPage> {
  return page.evaluate(
    async ({ where, work }) => {
      const { tasks, observer, worker } = globalThis as unknown as {
        readonly tasks: number[];
        readonly observer: PerformanceObserver;
        readonly worker: Worker;
      };
      const blob = document.querySelector("input")?.files?.[0] as Blob;
      const take = () => {
        tasks.push(...observer.takeRecords().map(({ duration }) => duration));
        return Math.max(0, ...tasks.splice(0));
      };
      take();
      const timed = await (where === "page"
        ? timedBlob(blob, work)
        : new Promise<Timed>((resolve) => {
            worker.onmessage = ({ data }) => resolve(data);
            worker.postMessage({ blob, work });
          }));
      await new Promise((resolve) => setTimeout(resolve, 100));
      return { ...timed, longestTask: take() };
    },
    { where, work },
  );
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1] as number;
}

test("long tasks of the page are seen", async () => {
  const longest = await page.evaluate(async () => {
    const { tasks, observer } = globalThis as unknown as { tasks: number[]; observer: PerformanceObserver };
    await new Promise<void>((resolve) =>
      setTimeout(() => {
        for (const end = performance.now() + 80; performance.now() < end; );
        resolve();
      }),
    );
    await new Promise((resolve) => setTimeout(resolve, 100));
    tasks.push(...observer.takeRecords().map(({ duration }) => duration));
    return Math.max(0, ...tasks.splice(0));
  });
  expect(longest).toBeGreaterThanOrEqual(80);
});

test.each(["sparse", "dense"])(
  "%s bits",
  async (name) => {
    await page.locator("input").setInputFiles(join(folder, name));
    for (const work of ["count", "list"] as const) {
      const ratios: number[] = [];
      let longestTask = 0;
      for (let round = 0; round <= ROUNDS; round++) {
        const expected = await inNode(name, work);
        const timed = await inPage("worker", work);
        expect(timed.found).toBe(expected.found);
        longestTask = Math.max(longestTask, timed.longestTask);
        if (round > 0) ratios.push(timed.ms / expected.ms);
      }
      const own = await inPage("page", work);
      const ratio = median(ratios);
      console.log(
        `${name}, ${work}: a worker takes ${ratio.toFixed(2)} of the time of Node, the goal is 1.5 (${ratios.map((one) => one.toFixed(2)).join(", ")}); ` +
          `longest task of the page ${longestTask} ms, ${own.longestTask} ms when it reads itself (0: none above ${LONG_TASK_MS})`,
      );
      expect(longestTask).toBeLessThanOrEqual(LONG_TASK_MS);
    }
  },
  TIMEOUT,
);
