// Folders that the tools read and write. Both paths end with a slash.
import { fileURLToPath } from "node:url";

/** Folder of the repository. */
export const REPOSITORY: string = fileURLToPath(new URL("../../", import.meta.url));

/** Folder of the suite: sources of the vectors, corpus, reference. */
export const SUITE: string = fileURLToPath(new URL("../", import.meta.url));
