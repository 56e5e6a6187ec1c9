// Answers everything well, and ends with an exit code.
import { speak } from "./toy.mjs";

await speak({ end: 5 });
