// The packed packages: the example page and the examples of the README in Chromium, and the same modules in Node, Deno and Bun.
import { spawnSync } from "node:child_process";
import {
  cpSync,
  createReadStream,
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
import { build } from "vite";
import { afterAll, beforeAll, expect, test } from "vitest";
import { CHROMIUM, requireChromium } from "./support/chromium.ts";

const packages = fileURLToPath(new URL("../..", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "qdb-packed-"));
const NODE = process.env.QDB_NODE ?? process.execPath;
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
    response.setHeader("Content-Type", TYPES[extname(file)] ?? "application/octet-stream");
    const isBuilt = file.includes("/app/dist/");
    if (isBuilt)
      response.setHeader(
        "Content-Security-Policy",
        "default-src 'none'; script-src 'self'; worker-src 'self'; img-src data:",
      );
    createReadStream(file).pipe(response);
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

async function open(): Promise<{ page: Page; printed: string[] }> {
  const page = await browser.newPage();
  const printed: string[] = [];
  page.on("console", (message: ConsoleMessage) => printed.push(message.text()));
  page.on("pageerror", (error) => printed.push(String(error)));
  await page.goto(origin);
  return { page, printed };
}

test("the example page lists the bitmaps of a file and draws them", async () => {
  const { page, printed } = await open();
  await page.setInputFiles("#input", join(folder, "vm.qdb"));
  await page.waitForSelector("#map svg");
  expect(await page.locator("#list li").allTextContents()).toEqual([
    "daily: 1073741824 bytes, granularity 65536",
    "<b>: 0 bytes, granularity 65536",
  ]);
  expect(await page.locator("#map svg").innerHTML()).toContain("daily");
  await page.setInputFiles("#input", { name: "x", mimeType: "text/plain", buffer: Buffer.from("no bitmaps") });
  await expect.poll(() => page.textContent("#problem")).toMatch(/no QDB file/);
  expect(printed).toEqual([]);
  await page.close();
});

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
    await expect.poll(() => printed).toEqual(expect.arrayContaining(expected));
  }
  await page.close();
});

test("built by Vite, the example page and the worker of OPFS work under a strict policy", async () => {
  const app = join(folder, "app");
  mkdirSync(app);
  // The example without its import map: Vite resolves the names.
  const html = readFileSync(join(folder, "index.html"), "utf8").replace(/<script type="importmap">.*?<\/script>/s, "");
  writeFileSync(join(app, "index.html"), html);
  writeFileSync(
    join(app, "page.js"),
    `${readFileSync(join(folder, "page.js"), "utf8")}
import { createQdb, editQdb } from "@qdb/io-web";
await createQdb("opfs:vite.qdb", { bitmaps: [{ name: "a", size: 8192, granularity: 512 }] });
await editQdb("opfs:vite.qdb", (edit) => edit.bitmap("a").mark({ offset: 0, length: 1024 }));
const file = await openQdb("opfs:vite.qdb");
console.log(String((await file.bitmap("a").count()).bits));
`,
  );
  await build({ root: app, base: "/app/dist/", logLevel: "error", build: { target: "es2022" } });
  const page = await browser.newPage();
  const printed: string[] = [];
  page.on("console", (message) => printed.push(message.text()));
  page.on("pageerror", (error) => printed.push(String(error)));
  await page.goto(`${origin}/app/dist/`);
  await expect.poll(() => printed, { timeout: 20_000 }).toEqual(["2"]);
  await page.setInputFiles("#input", join(folder, "vm.qdb"));
  await page.waitForSelector("#map svg");
  expect(await page.locator("#list li").count()).toBe(2);
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
