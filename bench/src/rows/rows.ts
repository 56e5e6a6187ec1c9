import { COSTS } from "./costs.ts";
import { GROWTH } from "./growth.ts";
import { CHECKSUM, KERNELS } from "./kernels.ts";
import { LIBRARIES, RANDOM_ACCESS } from "./libraries.ts";
import { LIMITS } from "./limits.ts";
import type { Row } from "./row.ts";
import { SAVE_LOAD } from "./save-load.ts";

/** All rows, in the order in which they are measured. */
export const ROWS: readonly Row[] = [COSTS, LIMITS, KERNELS, CHECKSUM, LIBRARIES, RANDOM_ACCESS, SAVE_LOAD, GROWTH];
