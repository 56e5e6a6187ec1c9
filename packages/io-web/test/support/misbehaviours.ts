// What servers do wrong, and what a reader must say of it. Both the server in Node and the tests in a browser import this.
import type { ServerResponse } from "node:http";

/** A misbehaviour of a server: what it does from the request `from` on, and what a reader must say of it. */
export interface Misbehaviour {
  readonly code: string;
  readonly message: RegExp;
  /** The first request that misbehaves: 0 is the one that opens the file. */
  readonly from: number;
  readonly timeoutMs?: number;
  /** What a page must say, if its browser does not give it the answer. */
  readonly inPage?: { readonly code: string; readonly message: RegExp };
  readonly headers?: Record<string, string | undefined>;
  readonly does?: (
    response: ServerResponse,
    range: { first: number; last: number },
    bytes: Uint8Array,
    gzip: (bytes: Uint8Array) => Uint8Array,
  ) => void;
}

/** Answers 206 with headers and a body. */
export function partial(
  response: ServerResponse,
  contentRange: string,
  body: Uint8Array,
  headers: Record<string, string> = {},
) {
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  response.setHeader("Content-Range", contentRange);
  response.writeHead(206).end(body);
}

/** The answer of a good server with other headers. */
function withHeaders(headers: Record<string, string>): NonNullable<Misbehaviour["does"]> {
  return (response, { first, last }, bytes) =>
    partial(response, `bytes ${first}-${last}/${bytes.length}`, bytes.subarray(first, last + 1), headers);
}

export const MISBEHAVIOURS: Readonly<Record<string, Misbehaviour>> = {
  "ignores Range": {
    code: "NOT_SUPPORTED",
    message: /answered 200: it ignores the header Range/,
    from: 0,
    does: (response, _, bytes) => void response.writeHead(200).end(bytes),
  },
  "ignores Range in the middle": {
    code: "NOT_SUPPORTED",
    message: /answered 200/,
    from: 1,
    does: (response, _, bytes) => void response.writeHead(200).end(bytes),
  },
  "sends a page with 200": {
    code: "NOT_SUPPORTED",
    message: /with a page \("text\/html/,
    from: 1,
    does: (response) => void response.setHeader("Content-Type", "text/html").writeHead(200).end("<p>sign in</p>"),
  },
  "sends a page with 206": {
    code: "IO",
    message: /a page \("text\/html"\) instead of the file/,
    from: 1,
    does: withHeaders({ "Content-Type": "text/html" }),
  },
  "answers another range": {
    code: "IO",
    message: /bytes 1-\d+, but \d+-\d+ were asked for/,
    from: 1,
    does: (response, { first, last }, bytes) =>
      partial(response, `bytes 1-${last - first + 1}/${bytes.length}`, bytes.subarray(1, last - first + 2)),
  },
  "answers a part of the range": {
    code: "IO",
    message: /were asked for/,
    from: 1,
    does: (response, { first, last }, bytes) =>
      partial(response, `bytes ${first}-${last - 1}/${bytes.length}`, bytes.subarray(first, last)),
  },
  "answers several ranges": {
    code: "NOT_SUPPORTED",
    message: /several ranges at once/,
    from: 1,
    does: withHeaders({ "Content-Type": "multipart/byteranges; boundary=x" }),
  },
  "answers with a broken Content-Range": {
    code: "IO",
    message: /Content-Range "bytes x", which is no range/,
    from: 1,
    does: (response, _, bytes) => partial(response, "bytes x", bytes),
  },
  "does not know the length": {
    code: "NOT_SUPPORTED",
    message: /length it does not know/,
    from: 0,
    does: (response, { first, last }, bytes) =>
      partial(response, `bytes ${first}-${last}/*`, bytes.subarray(first, last + 1)),
  },
  "sends a short body": {
    code: "IO",
    message: /body ended after \d+ of \d+ bytes|no complete answer/,
    from: 1,
    does: (response, { first, last }, bytes) =>
      partial(response, `bytes ${first}-${last}/${bytes.length}`, bytes.subarray(first, last)),
  },
  "breaks off a body": {
    code: "IO",
    message: /no complete answer/,
    from: 1,
    does(response, { first, last }, bytes) {
      response.setHeader("Content-Length", last - first + 1);
      response.setHeader("Content-Range", `bytes ${first}-${last}/${bytes.length}`);
      response.writeHead(206).write(bytes.subarray(first, last), () => response.destroy());
    },
  },
  "sends a long body": {
    code: "IO",
    message: /more than the \d+ bytes/,
    from: 1,
    does(response, { first, last }, bytes) {
      response.setHeader("Content-Range", `bytes ${first}-${last}/${bytes.length}`);
      response.writeHead(206);
      response.write(bytes.subarray(first, last + 1));
      response.end(new Uint8Array(100));
    },
  },
  "announces another length": {
    code: "IO",
    message: /a body of "\d+" bytes for a range of \d+/,
    from: 1,
    does(response, { first, last }, bytes) {
      response.setHeader("Content-Length", last - first + 2);
      response.setHeader("Content-Range", `bytes ${first}-${last}/${bytes.length}`);
      response.writeHead(206).end(new Uint8Array(last - first + 2));
    },
  },
  "compresses the body": {
    code: "NOT_SUPPORTED",
    message: /compressed body \(Content-Encoding "gzip"\)/,
    inPage: { code: "IO", message: /no complete answer.* a compressed range/ },
    from: 1,
    does: (response, { first, last }, bytes, gzip) =>
      partial(response, `bytes ${first}-${last}/${bytes.length}`, gzip(bytes.subarray(first, last + 1)), {
        "Content-Encoding": "gzip",
      }),
  },
  "changes the ETag": {
    code: "SOURCE_CHANGED",
    message: /ETag was "\\"1\\"" and is "\\"2\\""/,
    from: 1,
    does: withHeaders({ ETag: '"2"' }),
  },
  "changes Last-Modified": {
    code: "SOURCE_CHANGED",
    message: /Last-Modified was/,
    from: 1,
    does: withHeaders({ "Last-Modified": "Mon, 02 Mar 2026 10:00:01 GMT" }),
  },
  "changes the length": {
    code: "SOURCE_CHANGED",
    message: /length was \d+ and is \d+/,
    from: 1,
    does: (response, { first, last }, bytes) =>
      partial(response, `bytes ${first}-${last}/${bytes.length + 1}`, bytes.subarray(first, last + 1)),
  },
  "has no such range any more": {
    code: "SOURCE_CHANGED",
    message: /length was \d+ and is 5/,
    from: 1,
    does: (response) => void response.setHeader("Content-Range", "bytes */5").writeHead(416).end(),
  },
  "refuses the range": {
    code: "IO",
    message: /416: it cannot give the range/,
    from: 1,
    does: (response) => void response.writeHead(416).end(),
  },
  "is an empty file": {
    code: "IO",
    message: /416: the file is empty/,
    from: 0,
    does: (response) => void response.setHeader("Content-Range", "bytes */0").writeHead(416).end(),
  },
  "has no such file": {
    code: "NOT_FOUND",
    message: /answered 404/,
    from: 0,
    does: (response) => void response.writeHead(404).end(),
  },
  "lost the file": {
    code: "NOT_FOUND",
    message: /answered 410/,
    from: 1,
    does: (response) => void response.writeHead(410).end(),
  },
  "forbids it": {
    code: "IO",
    message: /answered 403, with a page/,
    from: 0,
    does: (response) => void response.setHeader("Content-Type", "text/html").writeHead(403).end("<p>no</p>"),
  },
  "redirects in a loop": {
    code: "IO",
    message: /too many redirects/,
    from: 1,
    does: (response) => void response.setHeader("Location", "?again").writeHead(302).end(),
  },
  "is overloaded": {
    code: "IO",
    message: /answered 503, 3 times/,
    from: 1,
    does: (response) => void response.writeHead(503).end(),
  },
  "asks for a long pause": {
    code: "IO",
    message: /answered 429, asking for a pause of 3600 s/,
    from: 1,
    does: (response) => void response.setHeader("Retry-After", "3600").writeHead(429).end(),
  },
  "says nothing": {
    code: "IO",
    message: /no byte arrived for 200 ms/,
    from: 1,
    timeoutMs: 200,
    does: () => undefined,
  },
  "shows no validator": {
    code: "NOT_SUPPORTED",
    message: /shows no ETag and no Last-Modified; .*Access-Control-Expose-Headers: Content-Range, ETag/,
    from: 0,
    headers: { ETag: undefined, "Last-Modified": undefined },
  },
  "shows no Content-Range": {
    code: "NOT_SUPPORTED",
    message: /shows no Content-Range; .*Access-Control-Expose-Headers: Content-Range, ETag/,
    from: 0,
    does: (response, { first, last }, bytes) => void response.writeHead(206).end(bytes.subarray(first, last + 1)),
  },
};
