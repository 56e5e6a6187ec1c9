import type { ByteSource } from "@qdb/format";
import { BlobSource } from "../blob/blob-source.ts";
import { type HttpOptions, openHttpSource } from "../http/http-source.ts";

/** Where a file is that is read: a `Blob` or `File`, or an address of an HTTP server. */
export type Place = Blob | URL | string;

/**
 * Opens a file as a source of bytes, for `openQdb` here or `Qcow2File.open` of `@qdb/qcow2`. An address may be relative to the page.
 * @throws {QdbError} as {@link openHttpSource} for an address
 */
export async function openSource(place: Place, options: HttpOptions = {}): Promise<ByteSource> {
  return place instanceof Blob ? new BlobSource(place) : openHttpSource(place, options);
}
