// An HTTP server on loopback that serves bytes by ranges, counts what it sends, and misbehaves as told. A POST puts a file there.
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";
import { MISBEHAVIOURS, type Misbehaviour } from "./misbehaviours.ts";
import { SERVED_LENGTH, servedBytes } from "./served-bytes.ts";

export interface Served {
  bytes: Uint8Array;
  headers: Record<string, string | undefined>;
  /** Answers in the place of the server; returns whether it did. `nth` is the number of the request for this file, from 0. */
  answer?: (request: IncomingMessage, response: ServerResponse, nth: number) => boolean;
  /** Requests and bytes of bodies so far. */
  requests: number;
  sent: number;
  methods: string[];
}

export interface RangeServer {
  readonly origin: string;
  /** Serves a file, returns its address. */
  serve(name: string, file: Partial<Served> & { bytes: Uint8Array }): { readonly url: string; readonly served: Served };
  close(): Promise<void>;
}

const MODIFIED = "Mon, 02 Mar 2026 10:00:00 GMT";

/** The range that a request asks for, cut at the end of the file. */
export function askedRange(request: IncomingMessage, size: number): { first: number; last: number } {
  const parts = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "");
  if (parts === null) throw new Error(`a request had Range ${request.headers.range}`);
  return { first: Number(parts[1]), last: Math.min(Number(parts[2]), size - 1) };
}

/** The body of a request. */
async function bodyOf(request: IncomingMessage): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** What of a file a server with a misbehaviour serves. */
function misbehaving(
  { from, does, headers = {} }: Pick<Misbehaviour, "from" | "does" | "headers">,
  bytes: Uint8Array,
): Partial<Served> & { bytes: Uint8Array } {
  return {
    bytes,
    headers,
    answer(request, response, nth) {
      if (does === undefined || nth < from) return false;
      does(response, askedRange(request, bytes.length), bytes, gzipSync);
      return true;
    },
  };
}

/** The file that a server has at `NAME/ANYTHING`, NAME being "good" or a misbehaviour, so that each test has one of its own. */
function fileOf(path: string): (Partial<Served> & { bytes: Uint8Array }) | undefined {
  const name = path.split("/")[0] ?? "";
  const misbehaviour = name === "good" ? { from: 0 } : MISBEHAVIOURS[name];
  return misbehaviour && misbehaving(misbehaviour, servedBytes(0, SERVED_LENGTH));
}

/** Starts a server. */
export async function rangeServer(): Promise<RangeServer> {
  const files = new Map<string, Served>();
  const add = (name: string, file: Partial<Served> & { bytes: Uint8Array }): Served => {
    const headers = {
      ETag: '"1"',
      "Last-Modified": MODIFIED,
      "Content-Type": "application/octet-stream",
      "Access-Control-Expose-Headers": "Content-Range, ETag, Content-Encoding, Retry-After",
      ...file.headers,
    };
    const served: Served = { requests: 0, sent: 0, methods: [], ...file, headers };
    files.set(name, served);
    return served;
  };
  const found = (name: string): Served | undefined => {
    const served = files.get(name);
    const made = served === undefined ? fileOf(name) : undefined;
    return made === undefined ? served : add(name, made);
  };
  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? "/", "http://x");
    const name = decodeURIComponent(pathname.slice(1));
    response.setHeader("Access-Control-Allow-Origin", "*");
    if (request.method === "POST") {
      const headers = { ETag: searchParams.get("etag") ?? undefined };
      const put = (bytes: Uint8Array): void => {
        add(name, { bytes, headers });
        response.end();
      };
      return void bodyOf(request).then(put, () => response.destroy());
    }
    const served = found(name);
    if (served === undefined) return void response.writeHead(404).end("no such file");
    served.methods.push(request.method ?? "");
    const nth = served.requests++;
    for (const [key, value] of Object.entries(served.headers)) if (value !== undefined) response.setHeader(key, value);
    if (served.answer?.(request, response, nth) === true) return;
    const { first, last } = askedRange(request, served.bytes.length);
    if (first > last) {
      response.setHeader("Content-Range", `bytes */${served.bytes.length}`);
      return void response.writeHead(416).end();
    }
    const body = served.bytes.subarray(first, last + 1);
    served.sent += body.length;
    response.setHeader("Content-Range", `bytes ${first}-${last}/${served.bytes.length}`);
    response.setHeader("Content-Length", body.length);
    response.writeHead(206).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    origin,
    serve: (name, file) => ({ url: `${origin}/${encodeURIComponent(name)}`, served: add(name, file) }),
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}
