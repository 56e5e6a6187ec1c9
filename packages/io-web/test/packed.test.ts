// The packed packages: the example page, as it is and by Vite, and the examples of the README in Chromium, under a
// Content-Security-Policy; and the same modules in Node, Deno and Bun.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { createQdb, editQdb } from "@qdb/io-node";
import { type Browser, type ConsoleMessage, chromium, type Page, type Route } from "playwright";
import { build, createServer as createViteServer, type InlineConfig } from "vite";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { CHROMIUM, requireChromium } from "./support/chromium.ts";

const packages = fileURLToPath(new URL("../..", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "qdb-packed-"));
const COMMAND = join(packages, "cli/dist/qdb.cjs");
const NODE = process.env.QDB_NODE ?? process.execPath;
/** A busy machine takes seconds for the flushes of a commit. */
const SLOW = { timeout: 30_000 };
const TYPES: Readonly<Record<string, string>> = { ".html": "text/html", ".js": "text/javascript" };

let browser: Browser;
let server: Server;
let origin = "";

function run(command: readonly [string, ...string[]], cwd: string): string {
  const [program, ...args] = command;
  const env = { ...process.env, DENO_DIR: join(folder, "deno"), DENO_NO_UPDATE_CHECK: "1", NO_COLOR: "1" };
  const { error, status, stdout, stderr } = spawnSync(program, args, { cwd, env, encoding: "utf8" });
  if (error) throw new Error(`${program} is missing: npm test brings it into .tools/bin`, { cause: error });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  return stdout;
}

beforeAll(async () => {
  requireChromium();
  for (const name of ["format", "io-web"]) {
    run(["pnpm", "pack", "--pack-destination", folder], join(packages, name));
    const [archive = ""] = readdirSync(folder).filter((file) => file.startsWith(`qdb-${name}-`));
    const target = join(folder, "node_modules/@qdb", name);
    mkdirSync(target, { recursive: true });
    run(["tar", "-xzf", join(folder, archive), "-C", target, "--strip-components=1"], folder);
  }
  cpSync(join(folder, "node_modules/@qdb/io-web/example"), folder, { recursive: true });
  writeFileSync(join(folder, "package.json"), '{ "private": true, "type": "module" }');
  await createQdb(join(folder, "vm.qdb"), {
    bitmaps: [
      { name: "daily", size: 2 ** 30, granularity: 65536 },
      { name: "<b>", size: 0 },
    ],
  });
  await editQdb(join(folder, "vm.qdb"), (edit) => edit.bitmap("daily").mark({ offset: 65536, length: 131072 }));
  server = createServer((request, response) => {
    const file = join(folder, new URL(request.url ?? "/", "http://x").pathname.replace(/\/$/, "/index.html"));
    if (!existsSync(file)) return void response.writeHead(404).end();
    const bytes = readFileSync(file);
    response.setHeader("Content-Type", TYPES[extname(file)] ?? "application/octet-stream");
    response.setHeader("Content-Security-Policy", policyOf(bytes.toString("utf8")));
    response.end(bytes);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  browser = await chromium.launch({ ...CHROMIUM, headless: true });
}, 120_000);
afterAll(async () => {
  await browser?.close();
  server?.close();
  rmSync(folder, { recursive: true, force: true });
});

/** The policy of a page, which has an import map or not. The test reads the picture itself, for which it connects to `blob:`. */
function policyOf(html: string): string {
  const map = /<script type="importmap">(.*?)<\/script>/s.exec(html)?.[1];
  const hash = map === undefined ? "" : ` 'sha256-${createHash("sha256").update(map).digest("base64")}'`;
  const sources = "worker-src 'self'; img-src data: blob:; connect-src 'self' blob: https://backups.example.org";
  return `default-src 'none'; script-src 'self'${hash}; ${sources}`;
}

async function open(address: string = origin): Promise<{ page: Page; printed: string[] }> {
  const page = await browser.newPage();
  const printed: string[] = [];
  page.on("console", (message: ConsoleMessage) => printed.push(message.text()));
  page.on("pageerror", (error) => printed.push(String(error)));
  await page.goto(address);
  return { page, printed };
}

/** A page that keeps a file in the browser, for which it needs the worker of the package. */
const KEEP = `import { createQdb, editQdb, openQdb } from "@qdb/io-web";
await createQdb("opfs:keep.qdb", { bitmaps: [{ name: "daily", size: 2 ** 30 }] });
await editQdb("opfs:keep.qdb", (edit) => edit.bitmap("daily").mark({ offset: 0, length: 65537 }));
const file = await openQdb("opfs:keep.qdb");
console.log(String((await file.bitmap("daily").count()).bytes), "bytes are dirty");
await file.close();
`;

const VITE: InlineConfig = { root: folder, configFile: false, logLevel: "error" };

/** Returns the address at which the example page and `keep.html` are. */
const SERVED: Readonly<Record<string, () => Promise<string>>> = {
  "as it is": async () => origin,
  "built by Vite": async () => {
    const input = ["index.html", "keep.html"].map((name) => join(folder, name));
    await build({ ...VITE, base: "./", build: { outDir: "built", rolldownOptions: { input } } });
    return `${origin}/built`;
  },
  "from Vite's development server": async () => {
    const vite = await createViteServer({ ...VITE, server: { host: "127.0.0.1", port: 0 } });
    onTestFinished(() => vite.close());
    await vite.listen();
    return vite.resolvedUrls?.local[0]?.replace(/\/$/, "") ?? "";
  },
};

/** The lines of the console that do not come from Vite. */
const own = (printed: readonly string[]): string[] => printed.filter((line) => !line.startsWith("[vite]"));

test.each(Object.entries(SERVED))(
  "the example page, %s, lists the bitmaps of a file and draws them",
  async (_, serve) => {
    writeFileSync(join(folder, "keep.js"), KEEP);
    const html = readFileSync(join(folder, "index.html"), "utf8");
    writeFileSync(join(folder, "keep.html"), html.replace("./page.js", "./keep.js"));
    const address = await serve();
    const { page, printed } = await open(`${address}/index.html`);
    await page.setInputFiles("#input", join(folder, "vm.qdb"));
    await page.waitForSelector("#map:not([hidden])");
    expect(await page.locator("#list li").allTextContents()).toEqual([
      "daily: 1073741824 bytes, granularity 65536",
      "<b>: 0 bytes, granularity 65536",
    ]);
    const { svg, colors } = await page.evaluate(pictureOf);
    expect(svg).toBe(run([NODE, COMMAND, "show", "--svg=-", "vm.qdb"], folder));
    // Clean cells, and those that are all dirty.
    expect(colors).toEqual(expect.arrayContaining(["e4e8ed", "6f2203"]));
    await page.evaluate(() => {
      const dataTransfer = new DataTransfer();
      dataTransfer.items.add(new File(["no bitmaps"], "notes.txt"));
      document.body.dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true }));
    });
    await expect.poll(() => page.textContent("#problem"), SLOW).toMatch(/no QDB file/);
    expect(await page.locator("#map").isHidden()).toBe(true);
    await page.goto(`${address}/keep.html`);
    await expect.poll(() => own(printed), SLOW).toEqual(["131072 bytes are dirty"]);
    await page.close();
  },
);

/** Returns the text of the picture in a page, and the colours that it is drawn in, as hex digits. */
async function pictureOf(): Promise<{ svg: string; colors: string[] }> {
  const image = document.querySelector("img");
  const canvas = document.createElement("canvas").getContext("2d");
  if (image === null || canvas === null) throw new Error("no picture");
  await image.decode();
  Object.assign(canvas.canvas, { width: image.naturalWidth, height: image.naturalHeight });
  canvas.drawImage(image, 0, 0);
  const { data } = canvas.getImageData(0, 0, image.naturalWidth, image.naturalHeight);
  const pixels = new Uint32Array(data.buffer);
  const hex = (pixel: number): string =>
    [0, 8, 16].map((shift) => ((pixel >> shift) & 255).toString(16).padStart(2, "0")).join("");
  return { svg: await (await fetch(image.src)).text(), colors: [...new Set(pixels)].map(hex) };
}

/** The README's server, of another origin than the page: it sends the headers that the README says, and no others. */
async function backups(route: Route): Promise<void> {
  const path = join(folder, "vm.qdb");
  const bytes = readFileSync(path);
  const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(route.request().headers().range ?? "") ?? [];
  const body = bytes.subarray(Number(first), Math.min(Number(last) + 1, bytes.length));
  await route.fulfill({
    status: 206,
    headers: {
      ...readmeHeaders(),
      ETag: `"${statSync(path).mtimeMs}"`,
      "Content-Type": "application/octet-stream",
      "Content-Range": `bytes ${first}-${Number(first) + body.length - 1}/${bytes.length}`,
    },
    body,
  });
}

const readme = readFileSync(join(packages, "io-web/README.md"), "utf8");

function readmeHeaders(): Record<string, string> {
  const text = /^```\n(Access-Control.*?)```$/ms.exec(readme)?.[1] ?? "";
  const headers = Object.fromEntries(
    text
      .trim()
      .split("\n")
      .map((line) => line.split(": ") as [string, string]),
  );
  expect(Object.keys(headers)).toEqual(["Access-Control-Allow-Origin", "Access-Control-Expose-Headers"]);
  return { ...headers, "Access-Control-Allow-Origin": origin };
}

test("the examples of the README do what they say", async () => {
  const examples = [...readme.matchAll(/^```js\n(.*?)^```$/gms)].map(([, code = ""]) => code);
  expect(examples).toHaveLength(3);
  for (const code of examples) expect(code.trim().split("\n").length).toBeLessThanOrEqual(10);
  const { page, printed } = await open();
  await page.route("https://backups.example.org/**", backups);
  for (const [index, code] of examples.entries()) {
    writeFileSync(join(folder, `example-${index}.js`), code);
    printed.length = 0;
    await page.evaluate(`import("${origin}/example-${index}.js")`);
    if (index === 0) await page.setInputFiles("#input", join(folder, "vm.qdb"));
    const expected =
      [
        ["daily: 131072 of 1073741824 bytes are dirty", "<b>: 0 of 0 bytes are dirty"],
        [expect.stringMatching(/^1 requests, \d+ bytes$/), "65536 131072"],
        ["1048576 bytes are dirty"],
      ][index] ?? [];
    await expect.poll(() => printed, SLOW).toEqual(expect.arrayContaining(expected));
  }
  await page.close();
});

test.each([
  ["Node", [NODE]],
  ["Deno", ["deno", "run", "--allow-read"]],
  ["Bun", ["bun", "run"]],
] as const)("%s imports the packed package, and reads a Blob", (_, command) => {
  writeFileSync(
    join(folder, "blob.js"),
    `import { readFileSync } from "node:fs";
import { openQdb } from "@qdb/io-web";
const file = await openQdb(new Blob([readFileSync("vm.qdb")]));
for await (const { offset, length } of file.bitmap("daily").extents()) console.log(String(offset), String(length));
`,
  );
  expect(run([...command, "blob.js"] as [string, ...string[]], folder)).toBe("65536 131072\n");
});
