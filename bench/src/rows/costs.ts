import { countCosts } from "../costs/count.ts";
import type { Row } from "./row.ts";

/** What operations ask of the store of a file. The numbers are counted, so they are the same on every machine. */
export const COSTS: Row = {
  id: "costs",
  title: "Calls and bytes of one operation on a file, opening it included",
  async measure() {
    return { costs: await countCosts() };
  },
};
