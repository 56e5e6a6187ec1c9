/**
 * The entry point `@qdb/io-node/container`: the parts of the package, for authors of containers, of tools, and of programs that keep a file
 * open for many changes.
 * @packageDocumentation
 */

export { createFile, createFileBy, createOutput } from "./create/create-file.ts";
export type { NewFile, WriteFile } from "./create/new-file.ts";
export { PreparedFile } from "./create/prepared-file.ts";
export { type OpenSpoolFile, openSpoolFile } from "./create/spool-file.ts";
export { FileStore, openFileStore } from "./files/file-store.ts";
export type { LockedFile } from "./files/locked-file.ts";
export { type EditorOpenOptions, openQdbEditor } from "./files/open-editor.ts";
export { openQcow2Store, Qcow2Store, type Qcow2StoreOptions, type QemuLocks } from "./files/qcow2-store.ts";
export { reasonOf } from "./system/errors.ts";
export type { FileIdentity } from "./system/file-status.ts";
export { randomId } from "./system/random-id.ts";
export { syncDirectory } from "./system/sync-directory.ts";
export { requireWritableHost } from "./system/writable-host.ts";
