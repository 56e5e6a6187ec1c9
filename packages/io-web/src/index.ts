export { BlobSource } from "./blob/blob-source.ts";
export { HttpSource, type HttpOptions, openHttpSource, type Received } from "./http/http-source.ts";
export type { RequestOptions } from "./http/request.ts";
export type { RetryOptions } from "./http/retry.ts";
export { openQdb, type QdbOpenOptions } from "./files/open-qdb.ts";
export { openSource, type Place } from "./files/open-source.ts";
