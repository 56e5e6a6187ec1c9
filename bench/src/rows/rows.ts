import { COMMANDS } from "./commands.ts";
import { COMPARE } from "./compare.ts";
import { COSTS } from "./costs.ts";
import { DAMAGE } from "./damage.ts";
import { GROWTH } from "./growth.ts";
import { IMAGES } from "./images.ts";
import { IMPORT } from "./import.ts";
import { CHECKSUM, KERNELS } from "./kernels.ts";
import { LIBRARIES, RANDOM_ACCESS } from "./libraries.ts";
import { LIMITS } from "./limits.ts";
import { LISTING } from "./listing.ts";
import { MEMORY } from "./memory.ts";
import type { Row } from "./row.ts";
import { SAVE_LOAD } from "./save-load.ts";
import { START } from "./start.ts";

/** All rows, in the order in which they are measured. */
const ROWS: readonly Row[] = [
  ...[COSTS, LIMITS, KERNELS, CHECKSUM, LIBRARIES, RANDOM_ACCESS, SAVE_LOAD, GROWTH],
  ...[DAMAGE, START, COMMANDS, LISTING, IMPORT, IMAGES, COMPARE, MEMORY],
];

/** Rows that measure no time. */
const UNTIMED: readonly Row[] = [COSTS, DAMAGE, MEMORY];

/**
 * Returns the rows with these ids, in the order in which they are measured; all rows if there are none. The limits of the machine are
 * measured in each run that measures times.
 * @throws {Error} if there is no such row
 */
export function chosenRows(ids: readonly string[] | undefined): readonly Row[] {
  if (ids === undefined) return ROWS;
  const unknown = ids.find((id) => ROWS.every((row) => row.id !== id));
  if (unknown !== undefined)
    throw new Error(`there is no row ${unknown}; there are ${ROWS.map(({ id }) => id).join(", ")}`);
  const isTimed = ids.some((id) => !UNTIMED.some((row) => row.id === id));
  return ROWS.filter((row) => ids.includes(row.id) || (row === LIMITS && isTimed));
}
