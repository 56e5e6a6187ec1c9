// Refuses with exit code 0, when it is started for one request.
import { speak } from "./toy.mjs";

await speak();
process.exitCode = 0;
