// A host whose files are in memory: for the suites that every host of QDB files runs, in Node or in a page.
import { QdbError, QdbFile } from "@qdb/format";
import { type AnyStore, editStore, imageBytes, newFile, writeImage } from "@qdb/format/container";
import type { EditingHost } from "../contract/editing.ts";
import { MemoryStore } from "./memory-store.ts";

/** A place for one file in memory. */
export interface Place {
  store?: MemoryStore;
  isLocked: boolean;
}

/** Returns the file at a place. @throws {QdbError} NOT_FOUND */
export function fileAt({ store }: Place): MemoryStore {
  if (store === undefined) throw new QdbError("NOT_FOUND", "there is no file");
  return store;
}

/** Opens the file at a place for an edit, under its lock. */
function lockedStore(place: Place, make: (store: MemoryStore) => AnyStore): AnyStore {
  const file = fileAt(place);
  if (place.isLocked) throw new QdbError("LOCKED", "the file is being edited");
  place.isLocked = true;
  const close = (): void => {
    place.isLocked = false;
  };
  return Object.assign(make(file), { close });
}

/** Returns a host over files in memory, which `make` makes stores of. */
export function memoryHost(make: (store: MemoryStore) => AnyStore): EditingHost<Place> {
  const host = { randomId: () => crypto.getRandomValues(new Uint8Array(16)) };
  return {
    place: () => ({ isLocked: false }),
    async createQdb(place, init = {}, { signal } = {}) {
      if (place.store !== undefined) throw new QdbError("ALREADY_EXISTS", "a file");
      const bytes = imageBytes(writeImage(newFile(init, host)));
      if (signal?.aborted === true) throw new QdbError("ABORTED", "aborted");
      place.store = new MemoryStore(bytes);
    },
    editQdb: async (place, change, options) => editStore(lockedStore(place, make), change, { ...host, ...options }),
    openQdb: (place) => QdbFile.open(new MemoryStore(fileAt(place).bytes)),
    bytes: (place) => fileAt(place).bytes,
    overwrite: (place, bytes) => fileAt(place).writeSync(0, bytes),
  };
}
