// A host whose files are behind HTTP: they are edited in memory, and put on a server after each commit.
import type { EditingHost } from "../../../format/test/contract/editing.ts";
import { memoryHost, type Place } from "../../../format/test/support/memory-host.ts";

/** A file and its address. */
export interface PublishedPlace extends Place {
  readonly url: string;
  /** How often it was put there. */
  versions: number;
}

/** Returns a host of files on a `rangeServer`; `etag` is that of each version, counted from 0. */
export function publishedHost(origin: string, etag: (version: number) => string): EditingHost<PublishedPlace> {
  const memory = memoryHost((store) => store);
  const publish = async (place: PublishedPlace): Promise<void> => {
    const address = `${place.url}?etag=${encodeURIComponent(etag(place.versions++))}`;
    const bytes = (await memory.bytes(place)) as Uint8Array<ArrayBuffer>;
    // A body of no type needs no preflight.
    const { ok, status } = await fetch(address, { method: "POST", body: new Blob([bytes]) });
    if (!ok) throw new Error(`the server answered ${status}`);
  };
  return {
    ...memory,
    place: async () => ({ ...(await memory.place()), url: `${origin}/${crypto.randomUUID()}.qdb`, versions: 0 }),
    async createQdb(place, ...rest) {
      await memory.createQdb(place, ...rest);
      await publish(place);
    },
    async editQdb(place, ...rest) {
      const result = await memory.editQdb(place, ...rest);
      await publish(place);
      return result;
    },
    async overwrite(place, bytes) {
      await memory.overwrite(place, bytes);
      await publish(place);
    },
  };
}
