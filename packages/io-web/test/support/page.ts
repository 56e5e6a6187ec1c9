// Pages with the built packages for a real browser, under a strict Content-Security-Policy: bundled, or as they are.
import { createReadStream, existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { type BrowserContext, chromium, type Page } from "playwright";
import { CHROMIUM, requireChromium } from "./chromium.ts";

const packages = fileURLToPath(new URL("../../..", import.meta.url));

/** No code from a text, no WebAssembly, no other origin but for files that are read. */
const POLICY = "default-src 'none'; script-src 'self' 'nonce-map'; worker-src 'self'; connect-src *";

const IMPORTS = {
  "@qdb/format": "/format/dist/index.js",
  "@qdb/format/container": "/format/dist/container.js",
  "@qdb/format/internal": "/format/dist/internal.js",
  "@qdb/io-web": "/io-web/dist/index.js",
  "@qdb/qcow2": "/qcow2/dist/index.js",
};

/** Makes the packages a global of the page, for the functions that tests run in it. */
const MODULE = `import * as format from "@qdb/format";
import * as container from "@qdb/format/container";
import * as web from "@qdb/io-web";
import * as qcow2 from "@qdb/qcow2";
globalThis.qdb = { ...container, ...format, ...web, ...qcow2 };`;

/** A SHA-256 beside it, in bundled pages. */
const SHA256 = `import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex } from "@noble/hashes/utils.js";
globalThis.qdb.sha256 = () => {
  const hash = sha256.create();
  return { update: (bytes) => void hash.update(bytes), hex: () => bytesToHex(hash.digest()) };
};`;

/** A place beside the module of the worker, which a bundle looks for there. */
const BUNDLE = "/io-web/dist/opfs/page.js";

function html(script: string): string {
  return `<!doctype html><title>QDB</title>
<script type="importmap" nonce="map">${JSON.stringify({ imports: IMPORTS })}</script>
<script type="module" src="${script}"></script>`;
}

async function bundle(): Promise<string> {
  const alias = Object.fromEntries(Object.entries(IMPORTS).map(([name, path]) => [name, join(packages, path)]));
  const { outputFiles } = await build({
    stdin: { contents: `${MODULE}\n${SHA256}`, resolveDir: join(packages, "io-web") },
    bundle: true,
    format: "esm",
    target: "es2022",
    write: false,
    alias,
  });
  return outputFiles.map(({ text }) => text).join("");
}

/** What {@link MODULE} makes. */
export type PageGlobal = typeof import("@qdb/format") &
  typeof import("@qdb/format/container") &
  typeof import("@qdb/io-web") &
  typeof import("@qdb/qcow2") & { readonly sha256: () => import("@qdb/format/container").Sha256 };

declare global {
  /** The packages, in a page. */
  var qdb: PageGlobal;
}

/** The server of the pages. */
export interface PageServer {
  /** At it is a page with the modules that the packages have, at `/bundled` one with all packages in one module. */
  readonly origin: string;
  /** Serves a file of the disk by ranges, and whole with `?whole`. Returns its address. */
  serve(path: string): string;
  close(): Promise<void>;
}

export interface Pages extends PageServer {
  readonly context: BrowserContext;
  /** Opens a tab, with the packages in one module, or in those that the packages have. All tabs have one origin. */
  open(modules?: "bundled" | "as they are"): Promise<Page>;
}

const TYPES: Readonly<Record<string, string>> = { ".js": "text/javascript", ".html": "text/html" };

function sendFile(request: IncomingMessage, response: ServerResponse, path: string): void {
  const { size, mtimeMs } = statSync(path);
  const asked = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "");
  const [first, last] = asked === null ? [0, size - 1] : [Number(asked[1]), Math.min(Number(asked[2]), size - 1)];
  response.setHeader("ETag", `"${mtimeMs}-${size}"`);
  response.setHeader("Content-Length", last - first + 1);
  if (asked !== null) response.setHeader("Content-Range", `bytes ${first}-${last}/${size}`);
  response.writeHead(asked === null ? 200 : 206);
  if (last < first) response.end();
  else createReadStream(path, { start: first, end: last }).pipe(response);
}

/** Starts the server of the pages. */
export async function servePages(): Promise<PageServer> {
  const files = new Map<string, Uint8Array | string>([
    ["/", html("/page.js")],
    ["/page.js", MODULE],
    ["/bundled", html(BUNDLE)],
    [BUNDLE, await bundle()],
  ]);
  const server = createServer((request, response) => {
    const path = new URL(request.url ?? "/", "http://x").pathname;
    if (path.startsWith("/file/")) return sendFile(request, response, decodeURIComponent(path.slice("/file/".length)));
    const file = join(packages, path);
    const isModule = /^\/[\w-]+\/dist\/[\w/-]+\.js$/.test(path) && existsSync(file);
    const body = files.get(path) ?? (isModule ? readFileSync(file) : undefined);
    if (body === undefined) return void response.writeHead(404).end();
    response.setHeader("Content-Security-Policy", POLICY);
    response.setHeader(
      "Content-Type",
      TYPES[extname(path)] ?? (path === "/" || path === "/bundled" ? "text/html" : "application/octet-stream"),
    );
    response.end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    origin,
    serve: (path) => `${origin}/file/${encodeURIComponent(path)}`,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

/** Starts Chromium with a profile on the disk, and the server of the pages. */
export async function startPages(): Promise<Pages> {
  requireChromium();
  const server = await servePages();
  const { origin } = server;
  const profile = mkdtempSync(join(tmpdir(), "qdb-chromium-"));
  const context = await chromium.launchPersistentContext(profile, { ...CHROMIUM, headless: true });
  return {
    ...server,
    context,
    async open(modules = "bundled") {
      const page = await context.newPage();
      await page.goto(modules === "bundled" ? `${origin}/bundled` : origin);
      await page.waitForFunction(() => globalThis.qdb !== undefined);
      return page;
    },
    async close() {
      await context.close();
      await server.close();
      rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}
