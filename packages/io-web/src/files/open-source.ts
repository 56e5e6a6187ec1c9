import type { ByteSource } from "@qdb/format";
import { BlobSource } from "../blob/blob-source.ts";
import { type HttpOptions, openHttpSource } from "../http/http-source.ts";
import { isOpfsPath, type OpfsPath } from "../opfs/opfs-path.ts";
import { openOpfsSource } from "../opfs/opfs-source.ts";

/** Where a file is that is read: a `Blob` or `File`, an address of an HTTP server, or a path such as `opfs:vm.qdb`. */
export type Place = Blob | URL | OpfsPath | string;

/**
 * Opens a file as a source of bytes, for `openQdb` here or `Qcow2File.open` of `@qdb/qcow2`. An address may be relative to the page.
 * @throws {QdbError} as {@link openHttpSource} for an address; as {@link openOpfsSource} for a path
 */
export async function openSource(place: Place, options: HttpOptions = {}): Promise<ByteSource> {
  if (place instanceof Blob) return new BlobSource(place);
  return isOpfsPath(place) ? openOpfsSource(place) : openHttpSource(place, options);
}
