// Ends at a check.
import { speak, verbs } from "./toy.mjs";

const check = () => {
  console.error("assertion failed: the table has no legs");
  process.exit(7);
};
await speak({ own: { ...verbs, check } });
