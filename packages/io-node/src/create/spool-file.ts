import { unlinkSync } from "node:fs";
import { join } from "node:path";
import { closingOnErrorSync, type SpoolFile } from "@qdb/format/internal";
import { fromNode } from "../system/errors.ts";
import { Handle } from "../system/handle.ts";
import { newTemporaryName } from "./temporary.ts";

/** A temporary file without a name, which is gone when it is closed, or when the process ends. */
export interface OpenSpoolFile extends SpoolFile {
  close(): void;
}

/**
 * Opens a temporary file in a directory, and removes its name at once.
 * @throws {QdbError} NOT_FOUND if the directory does not exist; IO
 */
export function openSpoolFile(directory: string): OpenSpoolFile {
  const name = join(directory, newTemporaryName());
  const file = Handle.createPrivate(name);
  return closingOnErrorSync(file, () => {
    try {
      unlinkSync(name);
    } catch (error) {
      throw fromNode(error, "remove", name);
    }
    return {
      writeSync: (offset, bytes) => file.write(bytes, offset),
      readIntoSync: (offset, target) => file.readInto(target, target.length, offset),
      close: () => file.close(),
    };
  });
}
