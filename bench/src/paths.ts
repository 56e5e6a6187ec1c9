import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The repository. */
export const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** The folder of this package. */
export const BENCH = join(ROOT, "bench");

/** What the benchmark builds and installs. It is not committed. */
export const BUILT = join(ROOT, ".tools", "bench");
