import { statSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname } from "node:path";
import { closing, Spool } from "@qdb/format/internal";
import { nodeDigests } from "@qdb/io-node";
import { type OpenSpoolFile, openSpoolFile } from "@qdb/io-node/container";
import { ofOtherFilesSync } from "../shell/errors.ts";

/**
 * Does work with a spool for the bits of a file. Its temporary file is beside a file that is new, otherwise in the directory for temporary
 * files: a device, and a file that exists, can be where nothing can be created. It is gone when the work has ended, however it ends.
 * @throws {QdbError} what the work throws
 */
export async function withSpool<T>(path: string, work: (spool: Spool) => Promise<T>): Promise<T> {
  const isThere = statSync(path, { throwIfNoEntry: false }) !== undefined;
  const directory = isThere ? tmpdir() : dirname(path);
  let file: OpenSpoolFile | undefined;
  const open = (): OpenSpoolFile => {
    const opened = ofOtherFilesSync(() => openSpoolFile(directory));
    file = opened;
    return {
      writeSync: (offset, bytes) => ofOtherFilesSync(() => opened.writeSync(offset, bytes)),
      readIntoSync: (offset, target) => ofOtherFilesSync(() => opened.readIntoSync(offset, target)),
      close: () => opened.close(),
    };
  };
  return closing({ close: () => file?.close() }, () => work(new Spool(open, nodeDigests)));
}
